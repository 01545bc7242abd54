package sabir.internal;

/**
 * Makes values of one Java type from JSON trees, in which byte sequences may stand as byte[].
 *
 * <p>null passes for every type but primitives: whether a place may be null is the schema's to say.
 */
public interface Reader {
    Object read(Object tree) throws Refused;
}
