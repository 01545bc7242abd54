package sabir.tools;

import java.io.PrintStream;
import java.util.Arrays;

/** The build, test and set-up programs, in one. */
public final class Tools {
    private Tools() {
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream answer = System.out;
        System.setOut(System.err);
        try {
            switch (arguments.length == 0 ? "" : arguments[0]) {
                case "build" -> Main.write(answer, new Build(Main.input()).answer());
                case "test" -> System.exit(Tests.run(Arrays.asList(arguments).subList(1, arguments.length)));
                case "setup" -> System.exit(Maven.setup(arguments[1]));
                case "warm" -> Sdk.warm();
                default -> throw new Stop("usage: build | test SDK RUNNER REPORT FILE… | setup POM");
            }
        } catch (Stop stop) {
            System.err.println(stop.getMessage());
            System.exit(1);
        }
    }
}
