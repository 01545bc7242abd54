/** Prices. */
public class Code {
    /**
     * Adds tax to a price.
     *
     * <p>The rate is a <b>fraction</b>, see {@link #withTax}; {@code 0.2} is 20&nbsp;%.
     *
     * @param price the price without tax
     * @param rate the rate of tax (default 0.19)
     * @return the price with tax
     * @effect read
     */
    public static double withTax(double price, double rate) {
        return price * (1 + rate);
    }
}
