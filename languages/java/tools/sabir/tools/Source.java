package sabir.tools;

import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.ImportTree;
import com.sun.source.tree.Tree;
import com.sun.source.util.DocTrees;
import com.sun.source.util.JavacTask;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticListener;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/** One parsed file. Parsing runs none of it and looks at no class. */
final class Source {
    /** What javac says of a place in a file. */
    record Problem(String message, int line, int column) {
    }

    /** A file's text for javac. */
    static final class Text extends SimpleJavaFileObject {
        final Path path;
        private final String text;

        Text(Path path, String text) {
            super(path.toUri(), Kind.SOURCE);
            this.path = path;
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }

        @Override
        public boolean isNameCompatible(String name, Kind kind) {
            return kind == Kind.SOURCE && path.getFileName().toString().equals(name + ".java");
        }

        @Override
        public String getName() {
            return path.toString();
        }
    }

    final Path path;
    final String text;
    final Problem problem;
    final CompilationUnitTree unit;
    final DocTrees trees;
    final String packageName;
    /** Top-level types by name, in the order of the file. */
    final Map<String, ClassTree> types = new java.util.LinkedHashMap<>();
    final List<String> imports = new ArrayList<>();
    final List<String> wildImports = new ArrayList<>();

    private Source(Path path, String text, CompilationUnitTree unit, DocTrees trees, Problem problem) {
        this.path = path;
        this.text = text;
        this.unit = unit;
        this.trees = trees;
        this.problem = problem;
        this.packageName = unit == null || unit.getPackageName() == null ? "" : unit.getPackageName().toString();
        if (unit == null) {
            return;
        }
        for (Tree type : unit.getTypeDecls()) {
            if (type instanceof ClassTree one) {
                types.put(one.getSimpleName().toString(), one);
            }
        }
        for (ImportTree one : unit.getImports()) {
            String name = one.getQualifiedIdentifier().toString();
            if (one.isStatic()) {
                continue;
            }
            if (name.endsWith(".*")) {
                wildImports.add(name.substring(0, name.length() - 2));
            } else {
                imports.add(name);
            }
        }
    }

    String stem() {
        String name = path.getFileName().toString();
        return name.endsWith(".java") ? name.substring(0, name.length() - 5) : name;
    }

    /** Whether it is a test that stands beside what it tests. */
    boolean isTest() {
        return unit != null && unit.getImports().stream().anyMatch(one -> one.getQualifiedIdentifier().toString().startsWith("org.junit."));
    }

    int line(Tree tree) {
        long at = trees.getSourcePositions().getStartPosition(unit, tree);
        return at < 0 ? 1 : (int) unit.getLineMap().getLineNumber(at);
    }

    /** The source's own text of a tree. */
    String text(Tree tree) {
        long from = trees.getSourcePositions().getStartPosition(unit, tree);
        long to = trees.getSourcePositions().getEndPosition(unit, tree);
        return from < 0 || to < from ? String.valueOf(tree) : text.substring((int) from, (int) to);
    }

    static JavaCompiler compiler() {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        if (compiler == null) {
            throw new Stop("this Java has no compiler; install a JDK (Debian: apt install openjdk-17-jdk-headless)");
        }
        return compiler;
    }

    static String message(Diagnostic<?> diagnostic) {
        return diagnostic.getMessage(Locale.ENGLISH).replaceAll("\\s*\n\\s*", ", ").trim();
    }

    /** Parses files together; the answer has one for each, in their order. */
    static List<Source> parse(List<Text> texts) {
        Map<URI, Problem> problems = new HashMap<>();
        DiagnosticListener<JavaFileObject> listener = diagnostic -> {
            if (diagnostic.getKind() == Diagnostic.Kind.ERROR && diagnostic.getSource() != null) {
                problems.putIfAbsent(diagnostic.getSource().toUri(), new Problem(message(diagnostic), (int) Math.max(0, diagnostic.getLineNumber()), (int) Math.max(0, diagnostic.getColumnNumber())));
            }
        };
        Map<URI, CompilationUnitTree> units = new HashMap<>();
        DocTrees trees = null;
        if (!texts.isEmpty()) {
            try (StandardJavaFileManager files = compiler().getStandardFileManager(listener, Locale.ENGLISH, null)) {
                JavacTask task = (JavacTask) compiler().getTask(null, files, listener, List.of("-proc:none"), null, texts);
                trees = DocTrees.instance(task);
                for (CompilationUnitTree unit : task.parse()) {
                    units.put(unit.getSourceFile().toUri(), unit);
                }
            } catch (IOException wrong) {
                throw new Stop(wrong.getMessage());
            }
        }
        List<Source> out = new ArrayList<>();
        for (Text text : texts) {
            CompilationUnitTree unit = units.get(text.toUri());
            Problem problem = problems.get(text.toUri());
            out.add(new Source(text.path, text.text, unit, trees, unit == null && problem == null ? new Problem("it cannot be read", 0, 0) : problem));
        }
        return out;
    }

    static Source read(Path path) {
        try {
            return Files.size(path) > 4 << 20 ? null : parse(List.of(new Text(path, Files.readString(path)))).get(0);
        } catch (IOException gone) {
            return null;
        }
    }

    /** The class whose public static methods are functions: that of the file's name, else the only one. */
    ClassTree mainClass() {
        ClassTree named = types.get(stem());
        return named != null ? named : types.size() == 1 ? types.values().iterator().next() : null;
    }
}
