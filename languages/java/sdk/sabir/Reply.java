package sabir;

import java.util.List;
import java.util.Map;

/** A model's reply. */
public record Reply(String content, String model, String provider, String finishReason, Map<String, Object> usage, List<Object> toolCalls) {
}
