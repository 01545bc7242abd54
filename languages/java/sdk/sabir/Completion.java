package sabir;

import java.util.List;
import java.util.Map;

/**
 * What is asked of a model, where a prompt alone does not say enough.
 *
 * @param messages what was said so far
 * @param model an alias of config/openai_config.yml; null = the default
 * @param tools functions that the model may name; null = none
 * @param outputSchema JSON Schema of the reply; null = free text
 * @param parameters temperature, max_tokens and the like, as the provider names them; null = its own
 */
public record Completion(List<Message> messages, @Nullable String model, @Nullable List<?> tools, @Nullable Map<String, ?> outputSchema,
                         @Nullable Map<String, ?> parameters) {
    public static Completion of(String prompt) {
        return new Completion(List.of(new Message("user", prompt)), null, null, null, null);
    }

    public Completion withModel(String name) {
        return new Completion(messages, name, tools, outputSchema, parameters);
    }

    public Completion withOutputSchema(Map<String, ?> schema) {
        return new Completion(messages, model, tools, schema, parameters);
    }

    public Completion withParameters(Map<String, ?> given) {
        return new Completion(messages, model, tools, outputSchema, given);
    }
}
