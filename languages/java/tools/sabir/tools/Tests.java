package sabir.tools;

import com.sun.source.tree.ClassTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.Tree;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;

/** The test command (spec/language.md): JUnit's launcher on the given files, as JUnit XML. */
final class Tests {
    private static final int NO_RUNNER = 127;
    private static final List<String> JUNIT = List.of("junit-jupiter-api", "junit-jupiter-params", "junit-jupiter-engine", "junit-platform-commons", "junit-platform-engine",
        "junit-platform-launcher", "opentest4j", "apiguardian-api");
    private static final Path DEBIAN = Path.of("/usr/share/java");

    private Tests() {
    }

    /** JUnit's jars: the project's own, else the machine's. null when there are none. */
    private static List<Path> junit(List<Path> project) throws IOException {
        if (project.stream().anyMatch(jar -> jar.getFileName().toString().matches("junit-platform-(launcher|console-standalone).*\\.jar"))) {
            return List.of();
        }
        if (Files.isRegularFile(DEBIAN.resolve("junit-platform-launcher.jar"))) {
            return JUNIT.stream().map(name -> DEBIAN.resolve(name + ".jar")).filter(Files::isRegularFile).toList();
        }
        Path standalone = Path.of(System.getProperty("user.home"), ".m2/repository/org/junit/platform/junit-platform-console-standalone");
        if (Files.isDirectory(standalone)) {
            try (Stream<Path> files = Files.walk(standalone, 2)) {
                List<Path> jars = files.filter(file -> file.toString().endsWith(".jar")).sorted().toList();
                return jars.isEmpty() ? null : List.of(jars.get(jars.size() - 1));
            }
        }
        return null;
    }

    static int run(List<String> arguments) throws IOException, InterruptedException {
        if (arguments.size() < 4) {
            throw new Stop("usage: test SDK RUNNER REPORT FILE…");
        }
        Path root = Path.of("").toAbsolutePath();
        List<Path> jars = Compile.jarsOf(root);
        List<Path> junit = junit(jars);
        if (junit == null) {
            System.err.println("there is no JUnit 5");
            return NO_RUNNER;
        }
        Path folder = Files.createTempDirectory("sabir-java-test-");
        try {
            return new Run(root, folder, jars, junit, arguments).all();
        } finally {
            Sdk.delete(folder);
        }
    }

    private static final class Run {
        final Path root;
        final Path folder;
        final Path report;
        final Path runner;
        final List<Path> seen = new ArrayList<>();
        final List<Path> tests = new ArrayList<>();

        Run(Path root, Path folder, List<Path> jars, List<Path> junit, List<String> arguments) throws IOException {
            this.root = root;
            this.folder = folder;
            seen.addAll(jars);
            seen.addAll(junit);
            seen.add(Sdk.of(Path.of(arguments.get(0))).jar());
            runner = Path.of(arguments.get(1));
            report = Path.of(arguments.get(2));
            arguments.subList(3, arguments.size()).forEach(name -> tests.add(root.resolve(name)));
        }

        /** Where a test's classes without a package belong: the folder that its `tests` folder stands in. */
        private Path home(Path test) {
            for (Path at = test.getParent(); at != null && !at.equals(root); at = at.getParent()) {
                if (at.getFileName().toString().matches("tests?|spec")) {
                    return at.getParent();
                }
            }
            return test.getParent();
        }

        int all() throws IOException, InterruptedException {
            List<Path> files = new ArrayList<>();
            World.ROOTS.forEach(base -> files.addAll(World.filesBelow(root.resolve(base))));
            files.removeAll(tests);
            List<Source> sources = Compile.read(files);
            List<Source> asked = Compile.read(tests);
            Compile compile = new Compile(root, folder.resolve("units"), seen);
            List<Source> good = new ArrayList<>();
            for (Source source : sources) {
                if (source.isTest()) {
                    continue;
                }
                if (source.problem != null) {
                    compile.leaveOut(source, source.problem, source.path, "");
                } else {
                    good.add(source);
                }
            }
            Path shared = folder.resolve("units/0");
            compile.unit("0", "0", good.stream().filter(source -> !source.packageName.isEmpty()).collect(Collectors.toList()), List.of());
            Map<Path, List<Source>> byHome = new LinkedHashMap<>();
            List<Source> named = new ArrayList<>();
            for (Source test : asked) {
                if (test.packageName.isEmpty()) {
                    byHome.computeIfAbsent(home(test.path), any -> new ArrayList<>()).add(test);
                } else {
                    named.add(test);
                }
            }
            List<String> spec = new ArrayList<>();
            compile.unit("t0", "t0", named, List.of(shared));
            tell(spec, "0", List.of(), compile.compiled.get("t0"));
            int number = 0;
            for (Map.Entry<Path, List<Source>> one : byHome.entrySet()) {
                String unit = String.valueOf(++number);
                List<Source> own = good.stream().filter(source -> source.packageName.isEmpty() && source.path.getParent().equals(one.getKey())).collect(Collectors.toList());
                compile.unit(unit, unit, own, List.of(shared));
                compile.unit("t" + unit, "t" + unit, one.getValue(), List.of(folder.resolve("units").resolve(unit), shared));
                tell(spec, unit, List.of(folder.resolve("units").resolve(unit), folder.resolve("units/t" + unit)), compile.compiled.get("t" + unit));
            }
            for (Source test : asked) {
                Compile.Broken broken = compile.broken.get(test.path);
                if (broken != null) {
                    String shown = root.relativize(test.path).toString();
                    spec.add(String.join("\t", "broken", shown, String.valueOf(broken.problem().line()), broken.problem().message().replaceAll("\\s+", " "), broken.detail().replace("\t", " ").replace("\n", "\u0001")));
                }
            }
            Path list = folder.resolve("spec");
            Files.write(list, spec);
            return launch(list);
        }

        private void tell(List<String> spec, String unit, List<Path> folders, List<Source> tests) {
            spec.add("unit\t" + unit + folders.stream().map(path -> "\t" + path).collect(Collectors.joining()));
            for (Source test : tests) {
                String prefix = test.packageName.isEmpty() ? "" : test.packageName + ".";
                for (ClassTree type : test.types.values()) {
                    spec.add(String.join("\t", "class", unit, prefix + type.getSimpleName(), root.relativize(test.path).toString()));
                    methods(spec, test, type, prefix + type.getSimpleName());
                }
            }
        }

        private static void methods(List<String> spec, Source test, ClassTree type, String name) {
            for (Tree member : type.getMembers()) {
                if (member instanceof MethodTree method && method.getReturnType() != null) {
                    long at = test.trees.getSourcePositions().getStartPosition(test.unit, method.getReturnType());
                    spec.add(String.join("\t", "method", name, method.getName().toString(), String.valueOf(at < 0 ? 0 : test.unit.getLineMap().getLineNumber(at))));
                } else if (member instanceof ClassTree inner) {
                    methods(spec, test, inner, name + "$" + inner.getSimpleName());
                }
            }
        }

        private int launch(Path list) throws IOException, InterruptedException {
            Path classes = Files.createDirectories(folder.resolve("runner"));
            JavaCompiler compiler = Source.compiler();
            StringBuilder said = new StringBuilder();
            String jars = seen.stream().map(Path::toString).collect(Collectors.joining(File.pathSeparator));
            try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
                boolean done = compiler.getTask(null, files, diagnostic -> said.append(diagnostic).append('\n'),
                    List.of("-d", classes.toString(), "-proc:none", "-nowarn", "-Xlint:none", "-cp", jars), null, files.getJavaFileObjects(runner)).call();
                if (!done) {
                    throw new Stop("the test runner does not compile with this JUnit: " + said);
                }
            }
            List<String> command = new ArrayList<>(List.of(Sdk.java().toString()));
            command.addAll(Sdk.FLAGS);
            command.addAll(List.of("-cp", String.join(File.pathSeparator, classes.toString(), folder.resolve("units/0").toString(), folder.resolve("units/t0").toString(), jars),
                "sabir.junit.Runner", list.toString(), report.toString()));
            return new ProcessBuilder(command).inheritIO().start().waitFor();
        }
    }
}
