import java.util.List;

/** Helps with a kitchen garden. Talk to it: sabir chat gardener "When can I harvest peas that I sow on 2026-04-01?" */
public class Gardener {
    static final String INSTRUCTIONS = """
        You help people with their kitchen gardens. Call gardens.harvests for days of harvest. Peas grow for 12 weeks, beans for 7
        and kale for 14. Answer in one short sentence.
        """;

    static final List<String> FUNCTIONS = List.of("gardens.harvests");

    static final int MAX_STEPS = 4;
}
