import java.util.List;
import java.util.Map;

/** Things. */
public final class Code {
    /**
     * Finds a thing.
     *
     * @param text the text
     *     to look at
     * @return what there is
     * @effect read
     */
    public static Map<String, List<Integer>> find(String text, byte[] data, int limit) {
        for (int i = 0; i < limit; i++) {
            if (text.isEmpty()) {
                throw new IllegalArgumentException("no text \n");
            }
        }
        return Map.of("a", List.of(1, 2));
    }

    private static int helper(String... parts) {
        return parts.length;
    }
}
