import java.util.List;

public class Code {
    public static int[][] transpose(int[][] rows) {
        int[][] out = new int[rows[0].length][rows.length];
        for (int i = 0; i < rows.length; i++) {
            for (int j = 0; j < rows[i].length; j++) {
                out[j][i] = rows[i][j];
            }
        }
        return out;
    }

    public static List<List<String>> pair(String[] names) {
        return List.of(List.of(names), List.of());
    }
}
