package sabir.tools;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.StandardJavaFileManager;

/** The SDK and the worker as one jar in the user's cache, with an archive of their classes that a worker starts from. */
record Sdk(Path jar, Path archive) {
    /** Not -XX:TieredStopAtLevel=1: a worker starts no faster by it, and what computes long would be slower. */
    static final List<String> FLAGS = List.of("-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xshare:auto", "-Xlog:disable", "-Xlog:all=error:stderr", "-Dfile.encoding=UTF-8",
        "-Dsun.stdout.encoding=UTF-8", "-Dsun.stderr.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-Dstderr.encoding=UTF-8");
    private static final long ARCHIVE_SECONDS = 60;

    static Path java() {
        return Path.of(System.getProperty("java.home"), "bin", "java");
    }

    /** Where run.sh keeps what it compiled: one folder for each version of these sources. */
    static Path cache() {
        String given = System.getProperty("sabir.cache");
        if (given == null) {
            throw new Stop("run.sh starts this program");
        }
        return Path.of(given);
    }

    static Sdk of(Path sources) throws IOException {
        Path jar = cache().resolve("sdk.jar");
        if (!Files.isRegularFile(jar)) {
            make(sources, jar);
        }
        return new Sdk(jar, cache().resolve("worker-" + System.getProperty("java.vm.version") + ".jsa"));
    }

    private static void make(Path sources, Path jar) throws IOException {
        Path folder = Files.createTempDirectory(cache(), "making-");
        try {
            List<Path> files;
            try (Stream<Path> all = Files.walk(sources)) {
                files = all.filter(file -> file.toString().endsWith(".java")).sorted().toList();
            }
            StringBuilder said = new StringBuilder();
            Path classes = folder.resolve("classes");
            try (StandardJavaFileManager manager = Source.compiler().getStandardFileManager(null, Locale.ENGLISH, null)) {
                boolean done = Source.compiler().getTask(null, manager, diagnostic -> said.append(diagnostic).append('\n'),
                    List.of("-d", classes.toString(), "-g", "-parameters", "-proc:none", "--release", "17", "-XDstringConcat=inline"), null, manager.getJavaFileObjectsFromPaths(files)).call();
                if (!done) {
                    throw new Stop("the SDK does not compile: " + said);
                }
            }
            Path made = folder.resolve("sdk.jar");
            pack(classes, made);
            Files.move(made, jar, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            delete(folder);
        }
    }

    private static void pack(Path classes, Path jar) throws IOException {
        List<Path> files;
        try (Stream<Path> all = Files.walk(classes)) {
            files = all.filter(Files::isRegularFile).sorted().toList();
        }
        try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar))) {
            out.setLevel(0);
            for (Path file : files) {
                out.putNextEntry(new JarEntry(classes.relativize(file).toString()));
                Files.copy(file, out);
                out.closeEntry();
            }
        }
    }

    static void delete(Path folder) {
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path one : all.sorted(java.util.Comparator.reverseOrder()).collect(Collectors.toList())) {
                Files.deleteIfExists(one);
            }
        } catch (IOException kept) {
            // A leftover in a cache or a temporary folder does no harm.
        }
    }

    private static final String SAMPLE = """
        import java.util.*;
        /** A sample. */
        public class Sample {
            enum Colour { RED, GREEN }
            sealed interface Shape permits Circle {}
            record Circle(double r, Optional<String> name, List<Map<String, Colour>> more) implements Shape {}
            /**
             * Does {@code it}.
             * @param shape what
             * @effect read
             */
            public static String f(Shape shape, int... n) { return switch (n.length) { case 0 -> "" + shape; default -> String.join(",", new ArrayList<>(List.of("a"))); }; }
        }
        """;

    /** What the describe and build programs do, so that an archive has the classes that they need. */
    static void warm() throws IOException {
        Path folder = Files.createTempDirectory("sabir-java-");
        try {
            Describe.answer(java.util.Map.of("files", List.of(java.util.Map.of("path", "Sample.java", "source", SAMPLE))));
            Compile compile = new Compile(folder, folder, List.of());
            compile.unit("1", "1", Source.parse(List.of(new Source.Text(folder.resolve("Sample.java"), SAMPLE))), List.of());
        } finally {
            delete(folder);
        }
    }

    /** Lets a worker of the program, and these tools, run once, and keeps their classes in the form that later ones map. Failing costs nothing but time. */
    void makeArchives(Path program) {
        makeToolsArchive();
        if (!Files.isRegularFile(archive)) {
            Path made = archive.resolveSibling(archive.getFileName() + "." + ProcessHandle.current().pid());
            List<String> command = new ArrayList<>(List.of(java().toString()));
            command.addAll(FLAGS);
            command.addAll(List.of("-XX:ArchiveClassesAtExit=" + made, "-cp", jar.toString(), "sabir.worker.Main", program.toString()));
            String call = "{\"module\":\"" + "/\",\"receiver\":\"\",\"function\":\"f\",\"arguments\":{\"a\":[1.5,null,\"x\"]},\"context\":{}}";
            run(command, List.of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"params\":{\"protocol\":{\"min\":1,\"max\":1}}}",
                "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"start\",\"params\":{\"project\":\"/\"}}",
                "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"call\",\"params\":" + call + "}", "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"drain\",\"params\":{}}"), made, archive);
        }
    }

    private static void makeToolsArchive() {
        Path to = cache().resolve("tools.jsa");
        Path classes = cache().resolve("tools.jar");
        if (Files.isRegularFile(to)) {
            return;
        }
        Path made = to.resolveSibling(to.getFileName() + "." + ProcessHandle.current().pid());
        try {
            if (!Files.isRegularFile(classes)) {
                Path packed = made.resolveSibling(made.getFileName() + ".jar");
                pack(cache().resolve("Tools"), packed);
                Files.move(packed, classes, StandardCopyOption.ATOMIC_MOVE);
            }
            run(List.of(java().toString(), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Dsabir.cache=" + cache(), "-XX:ArchiveClassesAtExit=" + made,
                "-cp", classes.toString(), "sabir.tools.Tools", "warm"), List.of(), made, to);
        } catch (IOException wrong) {
            System.err.println("no archive of the tools' classes: " + wrong.getMessage());
        }
    }

    private static void run(List<String> command, List<String> input, Path made, Path to) {
        try {
            ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD);
            builder.environment().put("SABIR_FD", "0,1");
            Process process = builder.start();
            try (OutputStream out = process.getOutputStream(); InputStream in = process.getInputStream()) {
                for (String text : input) {
                    out.write(Build.frame(text));
                }
                out.flush();
                in.readAllBytes();
            }
            if (!process.waitFor(ARCHIVE_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            } else if (Files.isRegularFile(made)) {
                Files.move(made, to, StandardCopyOption.ATOMIC_MOVE);
            }
            Files.deleteIfExists(made);
        } catch (IOException | InterruptedException wrong) {
            System.err.println("no archive of the worker's classes: " + wrong.getMessage());
        }
    }
}
