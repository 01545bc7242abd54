package sabir.tools;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The setup step: pom.xml's libraries, those of its tests included, as jars below .sabir. */
final class Maven {
    static final String FOLDER = ".sabir/java/maven";

    private Maven() {
    }

    static int setup(String pom) throws IOException, InterruptedException {
        Path folder = Path.of(FOLDER).toAbsolutePath();
        Path made = folder.resolveSibling("maven.new");
        Sdk.delete(made);
        Files.createDirectories(made);
        int code = run("-f", pom, "dependency:copy-dependencies", "-DoutputDirectory=" + made);
        String launcher = code == 0 ? launcherFor(made) : null;
        if (launcher != null) {
            code = run("dependency:copy", "-Dartifact=org.junit.platform:junit-platform-launcher:" + launcher, "-DoutputDirectory=" + made);
        }
        if (code != 0) {
            Sdk.delete(made);
            return code;
        }
        Sdk.delete(folder);
        Files.move(made, folder);
        return 0;
    }

    private static int run(String... words) throws InterruptedException {
        List<String> command = new ArrayList<>(List.of(Files.isExecutable(Path.of("mvnw")) ? "./mvnw" : "mvn", "-q", "-B"));
        command.addAll(Arrays.asList(words));
        try {
            return new ProcessBuilder(command).redirectOutput(ProcessBuilder.Redirect.to(Path.of("/dev/stderr").toFile())).redirectError(ProcessBuilder.Redirect.INHERIT).start().waitFor();
        } catch (IOException wrong) {
            throw new Stop("pom.xml needs Maven (Debian: apt install maven): " + wrong.getMessage());
        }
    }

    /** The version of JUnit's launcher that goes with the jars, when they have JUnit without one. */
    private static String launcherFor(Path folder) throws IOException {
        Pattern engine = Pattern.compile("junit-platform-engine-(.+)\\.jar");
        String version = null;
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                String name = file.getFileName().toString();
                Matcher match = engine.matcher(name);
                if (name.startsWith("junit-platform-launcher-") || name.startsWith("junit-platform-console-standalone-")) {
                    return null;
                }
                version = match.matches() ? match.group(1) : version;
            }
        }
        return version;
    }
}
