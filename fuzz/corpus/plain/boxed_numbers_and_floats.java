public class Code {
    public static Double mean(Integer a, Float b, Short c) {
        return (a + b + c) / 3.0;
    }
}
