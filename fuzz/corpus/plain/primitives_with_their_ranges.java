public class Code {
    public static long sum(byte a, short b, int c, long d) {
        return a + b + c + d;
    }
}
