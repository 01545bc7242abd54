package sabir;

import java.util.Map;

/** One of the project's functions, in whatever language it is written. */
public record FunctionInfo(String address, String language, String summary, String effect, Map<String, Object> inputSchema, Map<String, Object> outputSchema) {
}
