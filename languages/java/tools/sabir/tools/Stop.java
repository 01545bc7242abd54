package sabir.tools;

/** Ends a program with a message for people. */
final class Stop extends RuntimeException {
    private static final long serialVersionUID = 1;

    Stop(String message) {
        super(message);
    }
}
