package sabir.tools;

import com.sun.source.tree.ClassTree;
import com.sun.source.tree.Tree;
import com.sun.source.tree.TypeParameterTree;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Finds the types that names stand for: in the project's own sources, and in the JDK. */
final class World {
    static final List<String> ROOTS = List.of("functions/java", "assistants/java", "memory/java", "src/main/java");
    private static final int MOST_SIBLINGS = 500;
    private static final Pattern PACKAGE = Pattern.compile("(?m)^[ \\t]*package\\s+([\\w.]+)\\s*;");

    /** A type of the project's own sources, with the classes that it is nested in, the innermost last and itself. */
    record Declared(Source source, List<ClassTree> line) {
        ClassTree tree() {
            return line.get(line.size() - 1);
        }

        String id() {
            StringBuilder out = new StringBuilder(source.path.toString());
            line.forEach(one -> out.append('.').append(one.getSimpleName()));
            return out.toString();
        }

        Declared nested(String name) {
            for (Tree member : tree().getMembers()) {
                if (member instanceof ClassTree inner && inner.getSimpleName().contentEquals(name)) {
                    List<ClassTree> longer = new ArrayList<>(line);
                    longer.add(inner);
                    return new Declared(source, longer);
                }
            }
            return null;
        }
    }

    /** What a name stands for: a declared type, or a class of the JDK, or by its full name one that is not at hand. */
    record Found(Declared declared, Class<?> jdk, String name) {
    }

    /** Where a type is written: its file, the classes around it, and what its type variables are. */
    record At(Source source, List<ClassTree> around, Map<String, Bound> variables) {
    }

    /** A type argument, where it was written. */
    record Bound(Tree type, At at) {
    }

    final Path root;
    private final Map<Path, Source> sources = new HashMap<>();
    private final Map<Path, List<Path>> folders = new HashMap<>();
    private final Map<Path, String> texts = new HashMap<>();
    private Map<String, List<Path>> packages;
    /** Files other than the one that is described which were looked at. */
    final Set<Path> touched = new LinkedHashSet<>();

    World(Path root) {
        this.root = root;
    }

    void add(Source source) {
        sources.put(source.path, source);
    }

    private Source load(Path path) {
        if (!sources.containsKey(path)) {
            sources.put(path, Files.isRegularFile(path) ? Source.read(path) : null);
        }
        Source source = sources.get(path);
        if (source != null) {
            touched.add(path);
        }
        return source == null || source.unit == null ? null : source;
    }

    private List<Path> siblings(Path folder) {
        return folders.computeIfAbsent(folder, at -> {
            List<Path> out = new ArrayList<>();
            try (DirectoryStream<Path> files = Files.newDirectoryStream(at, "*.java")) {
                for (Path file : files) {
                    if (out.size() < MOST_SIBLINGS) {
                        out.add(file);
                    }
                }
            } catch (IOException none) {
                // A folder that is only given, not there.
            }
            out.sort(null);
            return out;
        });
    }

    Found find(String name, At at) {
        int dot = name.indexOf('.');
        String first = dot < 0 ? name : name.substring(0, dot);
        Found outer = simple(first, at);
        if (dot < 0) {
            return outer;
        }
        if (outer != null && (outer.declared != null || outer.jdk != null)) {
            return inside(outer, name.substring(dot + 1));
        }
        Found whole = full(name);
        return outer == null || whole.declared != null || whole.jdk != null ? whole : inside(outer, name.substring(dot + 1));
    }

    private static Found inside(Found outer, String names) {
        Found found = outer;
        for (String name : names.split("\\.")) {
            if (found.declared != null) {
                Declared inner = found.declared.nested(name);
                if (inner == null) {
                    return new Found(null, null, found.declared.tree().getSimpleName() + "." + names);
                }
                found = new Found(inner, null, name);
            } else if (found.jdk != null) {
                Class<?> inner = jdk(found.jdk.getName() + "$" + name);
                found = new Found(null, inner, found.name + "." + name);
            } else {
                found = new Found(null, null, found.name + "." + name);
            }
        }
        return found;
    }

    private Found simple(String name, At at) {
        for (int i = at.around.size() - 1; i >= 0; i--) {
            Declared around = new Declared(at.source, at.around.subList(0, i + 1));
            if (around.tree().getSimpleName().contentEquals(name)) {
                return new Found(around, null, name);
            }
            Declared nested = around.nested(name);
            if (nested != null) {
                return new Found(nested, null, name);
            }
        }
        if (at.source.types.containsKey(name)) {
            return new Found(new Declared(at.source, List.of(at.source.types.get(name))), null, name);
        }
        for (String one : at.source.imports) {
            if (one.endsWith("." + name)) {
                return full(one);
            }
        }
        Declared beside = inPackage(at.source.packageName, name, at.source);
        if (beside != null) {
            return new Found(beside, null, name);
        }
        for (String one : at.source.wildImports) {
            Declared declared = inPackage(one, name, at.source);
            Class<?> known = declared == null ? jdk(one + "." + name) : null;
            if (declared != null || known != null) {
                return new Found(declared, known, one + "." + name);
            }
        }
        Class<?> known = jdk("java.lang." + name);
        if (known != null) {
            return new Found(null, known, known.getName());
        }
        return at.source.wildImports.isEmpty() ? null : new Found(null, null, name);
    }

    private Declared inPackage(String packageName, String name, Source from) {
        if (packageName.isEmpty()) {
            if (!from.packageName.isEmpty()) {
                return null;
            }
            Path folder = from.path.getParent();
            Declared exact = in(load(folder.resolve(name + ".java")), "", name);
            return exact != null ? exact : among(siblings(folder), "", name);
        }
        for (Source one : new ArrayList<>(sources.values())) {
            if (one != null && one.packageName.equals(packageName) && one.types.containsKey(name)) {
                touched.add(one.path);
                return in(one, packageName, name);
            }
        }
        return packageName.startsWith("java.") ? null : among(packages().getOrDefault(packageName, List.of()), packageName, name);
    }

    /** The project's files of named packages, by what they say of themselves. */
    private Map<String, List<Path>> packages() {
        if (packages == null) {
            packages = new HashMap<>();
            for (String base : ROOTS) {
                for (Path file : filesBelow(root.resolve(base))) {
                    Matcher match = PACKAGE.matcher(text(file));
                    if (match.find()) {
                        packages.computeIfAbsent(match.group(1), any -> new ArrayList<>()).add(file);
                    }
                }
            }
        }
        return packages;
    }

    /** The .java files below a folder that are no tests. */
    static List<Path> filesBelow(Path folder) {
        try (Stream<Path> files = Files.walk(folder, 16)) {
            return files.filter(file -> file.toString().endsWith(".java") && Files.isRegularFile(file)).filter(file -> {
                // With a module's file in it, javac would see no library.
                if (file.endsWith("module-info.java")) {
                    return false;
                }
                for (Path part : folder.relativize(file)) {
                    String name = part.toString();
                    if (name.startsWith(".") || name.startsWith("_") || List.of("tests", "test", "spec", "vendor", "build", "target").contains(name)) {
                        return false;
                    }
                }
                return true;
            }).sorted().collect(Collectors.toList());
        } catch (IOException none) {
            return List.of();
        }
    }

    private String text(Path file) {
        return texts.computeIfAbsent(file, at -> {
            try {
                return Files.readString(at);
            } catch (IOException unreadable) {
                // Gone since it was listed, or no UTF-8.
                return "";
            }
        });
    }

    private Declared among(List<Path> files, String packageName, String name) {
        Pattern declares = Pattern.compile("\\b(class|record|enum|interface)\\s+" + Pattern.quote(name) + "\\b");
        for (Path file : files) {
            // Most files do not declare most names, which is seen without parsing them.
            if (!sources.containsKey(file) && !declares.matcher(text(file)).find()) {
                continue;
            }
            Source source = sources.containsKey(file) ? sources.get(file) : Source.read(file);
            sources.put(file, source);
            if (source != null && source.types.containsKey(name)) {
                touched.add(file);
                return in(source, packageName, name);
            }
        }
        return null;
    }

    private static Declared in(Source source, String packageName, String name) {
        ClassTree tree = source == null || !source.packageName.equals(packageName) ? null : source.types.get(name);
        return tree == null ? null : new Declared(source, List.of(tree));
    }

    /** By the full name, in which packages and classes are told apart by what is there. */
    private Found full(String name) {
        for (int dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
            String rest = name.substring(dot + 1);
            String first = rest.contains(".") ? rest.substring(0, rest.indexOf('.')) : rest;
            Declared declared = inPackage(name.substring(0, dot), first, null);
            Class<?> known = declared == null ? jdk(name.substring(0, dot) + "." + first) : null;
            if (declared != null || known != null) {
                Found found = new Found(declared, known, name.substring(0, dot) + "." + first);
                return rest.equals(first) ? found : inside(found, rest.substring(first.length() + 1));
            }
        }
        return new Found(null, null, name);
    }

    /** A class of the JDK; nothing of the user's is ever loaded here. */
    private static Class<?> jdk(String name) {
        if (!name.startsWith("java.") && !name.startsWith("javax.")) {
            return null;
        }
        try {
            return Class.forName(name, false, ClassLoader.getPlatformClassLoader());
        } catch (ClassNotFoundException | LinkageError none) {
            return null;
        }
    }

    static At within(Declared declared, List<? extends Tree> arguments, At from) {
        Map<String, Bound> variables = new HashMap<>();
        List<? extends TypeParameterTree> names = declared.tree().getTypeParameters();
        for (int i = 0; i < names.size() && i < arguments.size(); i++) {
            variables.put(names.get(i).getName().toString(), new Bound(arguments.get(i), from));
        }
        for (int i = arguments.size(); i < names.size(); i++) {
            variables.put(names.get(i).getName().toString(), new Bound(names.get(i).getBounds().isEmpty() ? null : names.get(i).getBounds().get(0), from));
        }
        return new At(declared.source, declared.line, variables);
    }
}
