package sabir;

import java.util.List;
import java.util.Map;

/**
 * An assistant's answer.
 *
 * @param conversation continues it
 * @param calls the functions that it called, with their arguments and values
 */
public record Answer(String content, String conversation, String model, List<Map<String, Object>> calls) {
}
