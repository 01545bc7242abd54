package sabir;

/** Who a call is made for. A parameter of this type is filled in by the engine and is no argument. */
public record Context(String user, String tenant, String conversation, String run) {
}
