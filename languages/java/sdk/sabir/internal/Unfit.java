package sabir.internal;

/** A value that JSON cannot carry. */
public final class Unfit extends Exception {
    private static final long serialVersionUID = 1;

    public Unfit(String message) {
        super(message, null, false, false);
    }
}
