import sabir.Sabir;

/** What outlives a run. Every language of the project reads and writes the same store. */
public class MemoryManagement {
    /**
     * Keeps a result under a name, in place of the one that was there.
     * Gives the result's version: 1 for the first of that name, then 2, and so on.
     *
     * @param result anything that JSON can hold
     * @param name what to ask for it by (default latest)
     */
    public static long storeResult(Object result, String name) {
        return Sabir.memory().put("results/" + name, result);
    }

    /**
     * Gives back the result that was last stored under a name, or null if there is none.
     *
     * @param name the name it was stored under (default latest)
     * @effect read
     */
    public static Object retrieveResult(String name) {
        return Sabir.memory().get("results/" + name);
    }
}
