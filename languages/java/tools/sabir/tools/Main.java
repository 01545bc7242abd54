package sabir.tools;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import sabir.internal.Json;

/** The describe program, apart from the other ones in Tools: the engine waits for it, so run.sh compiles no more than it needs. */
public final class Main {
    private static final int LARGEST_INPUT = 256 << 20;

    private Main() {
    }

    public static void main(String[] arguments) throws IOException {
        // Standard output is the answer; nothing else may stand in it.
        PrintStream answer = System.out;
        System.setOut(System.err);
        try {
            write(answer, Describe.answer(input()));
        } catch (Stop stop) {
            System.err.println(stop.getMessage());
            System.exit(1);
        }
    }

    static Map<String, Object> input() throws IOException {
        byte[] text = System.in.readNBytes(LARGEST_INPUT);
        try {
            Map<String, Object> asked = Json.object(Json.parse(text));
            if (asked != null && Json.number(asked, "version", 0) == 1) {
                return asked;
            }
        } catch (Json.Malformed wrong) {
            throw new Stop("standard input is no JSON: " + wrong.getMessage());
        }
        throw new Stop("standard input is not what version 1 of spec/ describes");
    }

    static void write(PrintStream answer, Object tree) {
        byte[] text = Json.write(tree).getBytes(StandardCharsets.UTF_8);
        answer.write(text, 0, text.length);
        answer.flush();
    }
}
