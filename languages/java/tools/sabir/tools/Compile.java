package sabir.tools;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipFile;
import javax.tools.Diagnostic;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.StandardJavaFileManager;

/**
 * Compiles sources in units. Unit 0 holds the files of named packages; every other one the files without a package of one folder,
 * which see unit 0 (Java lets no named package see them). A file that does not compile is left out, and what needs it as well.
 */
final class Compile {
    /** Why a file was left out. */
    record Broken(Path path, Source.Problem problem, Path where, String detail) {
    }

    private static final Pattern SYMBOL = Pattern.compile("symbol:\\s+(?:class|variable)\\s+(\\w+)|cannot find symbol");
    private final Path out;
    private final List<Path> jars;
    private final boolean processors;
    final Map<Path, Broken> broken = new LinkedHashMap<>();
    private final Map<String, Source> left = new LinkedHashMap<>();
    /** Unit -> its sources that compiled. */
    final Map<String, List<Source>> compiled = new TreeMap<>();
    private final Path root;

    /** @param out units become folders of it */
    Compile(Path root, Path out, List<Path> jars) {
        this.root = root;
        this.out = out;
        this.jars = jars;
        this.processors = jars.stream().anyMatch(Compile::bringsProcessor);
    }

    private static boolean bringsProcessor(Path jar) {
        try (ZipFile zip = new ZipFile(jar.toFile())) {
            return zip.getEntry("META-INF/services/javax.annotation.processing.Processor") != null;
        } catch (IOException wrong) {
            return false;
        }
    }

    /** Jars that the project brings: lib/, functions/java/lib/ and what setup took from pom.xml. */
    static List<Path> jarsOf(Path root) {
        List<Path> out = new ArrayList<>();
        for (String folder : List.of("lib", "functions/java/lib", Maven.FOLDER)) {
            try (Stream<Path> files = Files.list(root.resolve(folder))) {
                files.filter(file -> file.toString().endsWith(".jar")).sorted().forEach(out::add);
            } catch (IOException none) {
                // Most projects have none.
            }
        }
        return out;
    }

    static List<Source> read(List<Path> files) {
        List<Source.Text> texts = new ArrayList<>();
        for (Path file : files) {
            try {
                texts.add(new Source.Text(file, Files.readString(file)));
            } catch (IOException gone) {
                // Gone since it was listed, or no UTF-8: the engine tells of that.
            }
        }
        return Source.parse(texts);
    }

    void leaveOut(Source source, Source.Problem problem, Path where, String detail) {
        broken.put(source.path, new Broken(source.path, problem, where, detail));
        source.types.keySet().forEach(name -> left.put(name, source));
    }

    private String shown(Path path) {
        return path.startsWith(root) ? root.relativize(path).toString() : path.toString();
    }

    /** Numbers the units of sources: folder -> unit, in which named packages have 0. */
    static Map<Path, String> units(List<Source> sources) {
        Map<Path, String> out = new TreeMap<>();
        sources.stream().filter(source -> source.packageName.isEmpty()).map(source -> source.path.getParent()).forEach(folder -> out.put(folder, ""));
        int number = 0;
        for (Map.Entry<Path, String> one : out.entrySet()) {
            one.setValue(String.valueOf(++number));
        }
        return out;
    }

    /** Files that declare the same class in one unit: all but the first are left out. */
    private List<Source> withoutTwins(List<Source> sources) {
        Map<String, Source> seen = new LinkedHashMap<>();
        List<Source> out = new ArrayList<>();
        for (Source source : sources) {
            Source twin = null;
            String name = "";
            for (String type : source.types.keySet()) {
                Source before = seen.putIfAbsent(source.packageName + "." + type, source);
                twin = before != null && twin == null ? before : twin;
                name = before != null && name.isEmpty() ? type : name;
            }
            if (twin == null) {
                out.add(source);
            } else {
                broken.put(source.path, new Broken(source.path, new Source.Problem(name + " is declared in " + shown(twin.path) + " already", source.line(source.types.get(name)), 0),
                    source.path, ""));
            }
        }
        return out;
    }

    /** Compiles a unit into its folder. `into` is the folder's name, `sees` are further folders that it sees. */
    void unit(String unit, String into, List<Source> sources, List<Path> sees) throws IOException {
        List<Source> working = withoutTwins(sources);
        Path folder = out.resolve(into);
        Files.createDirectories(folder);
        List<Path> classPath = new ArrayList<>(sees);
        classPath.addAll(jars);
        while (!working.isEmpty() && !once(working, folder, classPath)) {
            working.removeIf(source -> broken.containsKey(source.path));
        }
        compiled.put(unit, working);
    }

    /** false = files were left out, and it has to be done again. */
    private boolean once(List<Source> working, Path folder, List<Path> classPath) throws IOException {
        Map<Path, List<Diagnostic<? extends JavaFileObject>>> errors = new LinkedHashMap<>();
        StringBuilder elsewhere = new StringBuilder();
        JavaCompiler compiler = Source.compiler();
        boolean done;
        try (StandardJavaFileManager files = compiler.getStandardFileManager(null, Locale.ENGLISH, null)) {
            List<String> options = new ArrayList<>(List.of("-d", folder.toString(), "-parameters", "-g", "-nowarn", "-implicit:none", "-Xmaxerrs", "1000", "-encoding", "UTF-8",
                "-sourcepath", folder.resolve("none").toString(), "-cp", classPath.stream().map(Path::toString).collect(Collectors.joining(File.pathSeparator))));
            if (!processors) {
                options.add("-proc:none");
            }
            List<Source.Text> texts = working.stream().map(source -> new Source.Text(source.path, source.text)).toList();
            done = compiler.getTask(new java.io.StringWriter(), files, diagnostic -> {
                if (diagnostic.getKind() != Diagnostic.Kind.ERROR) {
                    return;
                }
                if (diagnostic.getSource() instanceof Source.Text text) {
                    errors.computeIfAbsent(text.path, any -> new ArrayList<>()).add(diagnostic);
                } else {
                    Path path = diagnostic.getSource() == null ? null : Path.of(diagnostic.getSource().toUri());
                    if (path != null && working.stream().anyMatch(source -> source.path.equals(path))) {
                        errors.computeIfAbsent(path, any -> new ArrayList<>()).add(diagnostic);
                    } else {
                        elsewhere.append(diagnostic.getMessage(Locale.ENGLISH)).append('\n');
                    }
                }
            }, options, null, texts).call();
        }
        if (done) {
            return true;
        }
        if (errors.isEmpty()) {
            throw new Stop(elsewhere.length() == 0 ? "javac failed and said nothing" : elsewhere.toString().trim());
        }
        for (Source source : new ArrayList<>(working)) {
            List<Diagnostic<? extends JavaFileObject>> all = errors.get(source.path);
            if (all == null) {
                continue;
            }
            Diagnostic<?> first = all.get(0);
            String detail = all.stream().map(one -> source.path.getFileName() + ":" + one.getLineNumber() + ": " + Source.message(one)).collect(Collectors.joining("\n"));
            leaveOut(source, new Source.Problem(Source.message(first) + because(first), (int) Math.max(0, first.getLineNumber()), (int) Math.max(0, first.getColumnNumber())), source.path, detail);
        }
        return false;
    }

    /** A name is not found because the file that declares it is broken: that one is to be mended. */
    private String because(Diagnostic<?> diagnostic) {
        String text = diagnostic.getMessage(Locale.ENGLISH);
        Matcher match = SYMBOL.matcher(text);
        while (match.find()) {
            Source source = match.group(1) == null ? null : left.get(match.group(1));
            if (source != null) {
                return " (" + shown(source.path) + ", which declares it, does not compile)";
            }
        }
        Matcher gone = Pattern.compile("package ([\\w.]+) does not exist").matcher(text);
        boolean isGone = gone.find();
        for (Source source : left.values()) {
            if (isGone && source.packageName.equals(gone.group(1))) {
                Source.Problem problem = broken.get(source.path).problem();
                return " (" + shown(source.path) + ":" + problem.line() + " does not compile: " + problem.message() + ")";
            }
        }
        if (isGone && Files.exists(root.resolve("pom.xml")) && !Files.isDirectory(root.resolve(Maven.FOLDER))) {
            return " (pom.xml's libraries are not there: sabir setup)";
        }
        return "";
    }
}
