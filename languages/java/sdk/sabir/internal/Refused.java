package sabir.internal;

/** A value that does not fit its type; `where` is its place below the value that was read. */
public final class Refused extends Exception {
    private static final long serialVersionUID = 1;
    private String where = "";
    private final String what;

    public Refused(String what) {
        super(what, null, false, false);
        this.what = what;
    }

    Refused within(String name) {
        where = "/" + name.replace("~", "~0").replace("/", "~1") + where;
        return this;
    }

    Refused within(int index) {
        where = "/" + index + where;
        return this;
    }

    @Override
    public String getMessage() {
        return where.isEmpty() ? what : where + ": " + what;
    }
}
