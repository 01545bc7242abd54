package sabir.internal;

import sabir.Context;

/**
 * What is known of the call that this worker runs.
 *
 * <p>Threads: any reads; the worker writes.
 */
public final class Running {
    private static final Context NOBODY = new Context("", "", "", "");
    private static volatile Context context = NOBODY;
    private static volatile boolean cancelled;

    private Running() {
    }

    public static Context context() {
        return context;
    }

    public static boolean cancelled() {
        return cancelled;
    }

    public static void begin(Context of) {
        cancelled = false;
        context = of;
    }

    public static void cancel() {
        cancelled = true;
    }

    public static void end() {
        context = NOBODY;
        cancelled = false;
    }
}
