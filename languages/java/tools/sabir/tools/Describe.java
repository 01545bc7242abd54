package sabir.tools;

import com.sun.source.tree.ArrayTypeTree;
import com.sun.source.tree.ClassTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.PrimitiveTypeTree;
import com.sun.source.tree.Tree;
import com.sun.source.tree.TypeParameterTree;
import com.sun.source.tree.VariableTree;
import com.sun.source.util.TreePath;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.lang.model.element.Modifier;
import sabir.internal.Json;
import sabir.tools.Schemas.Unserved;

/** The describe program (spec/describe.md), and what the build program's index is made of. */
final class Describe {
    private static final Pattern DEFAULT = Pattern.compile("\\s*\\((?i:default)\\s+(.+)\\)\\s*\\.?$");
    private static final Set<String> STREAMS = Set.of("java.util.stream.Stream", "java.util.stream.IntStream", "java.util.stream.LongStream", "java.util.stream.DoubleStream",
        "java.util.Iterator", "java.lang.Iterable");
    private static final Set<String> FUTURES = Set.of("java.util.concurrent.CompletableFuture", "java.util.concurrent.CompletionStage", "java.util.concurrent.Future");

    /** One parameter: what is told of it, and what the worker needs. */
    record Parameter(Map<String, Object> told, Map<String, Object> index) {
        String name() {
            return (String) told.get("name");
        }

        boolean optional() {
            return index.containsKey("optional") || index.containsKey("context") || index.containsKey("default");
        }
    }

    /** A function with its overloads, the shortest first. */
    static final class Function {
        String name;
        Map<String, Object> told = new LinkedHashMap<>();
        final List<List<Parameter>> variants = new ArrayList<>();
    }

    private record Overload(MethodTree tree, int line, List<Parameter> parameters, Docs docs, String result) {
    }

    final Source source;
    final List<Function> functions = new ArrayList<>();
    final List<Map<String, Object>> unavailable = new ArrayList<>();
    Map<String, Object> constants = new LinkedHashMap<>();
    String moduleDoc = "";
    Source.Problem problem;
    private final World world;
    private World.At at;

    Describe(Source source, World world) {
        this.source = source;
        this.world = world;
        problem = source.problem;
        if (problem == null) {
            read();
        }
    }

    static Map<String, Object> answer(Map<String, Object> asked) {
        Path root = Path.of("").toAbsolutePath();
        List<Source.Text> texts = new ArrayList<>();
        List<Map<String, Object>> files = Json.objects(asked.get("files"));
        for (Map<String, Object> file : files) {
            texts.add(new Source.Text(root.resolve(Json.string(file, "path")), Json.string(file, "source")));
        }
        List<Source> sources = Source.parse(texts);
        World world = new World(root);
        sources.forEach(world::add);
        List<Object> answers = new ArrayList<>();
        for (int i = 0; i < files.size(); i++) {
            world.touched.clear();
            Map<String, Object> one = new LinkedHashMap<>();
            one.put("path", Json.string(files.get(i), "path"));
            Describe told = new Describe(sources.get(i), world);
            if (told.problem != null) {
                one.put("error", Map.of("message", told.problem.message(), "line", told.problem.line(), "column", told.problem.column()));
            } else {
                one.put("module_doc", told.moduleDoc);
                one.put("constants", told.constants);
                one.put("functions", told.functions.stream().map(function -> function.told).toList());
                one.put("unavailable", told.unavailable);
                world.touched.remove(told.source.path);
                one.put("depends", world.touched.stream().map(path -> path.startsWith(root) ? root.relativize(path).toString() : path.toString()).toList());
            }
            answers.add(one);
        }
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("version", 1);
        out.put("files", answers);
        return out;
    }

    private void read() {
        for (ClassTree type : source.types.values()) {
            if (type.getModifiers().getFlags().contains(Modifier.PUBLIC) && !type.getSimpleName().contentEquals(source.stem())) {
                problem = new Source.Problem("the public type " + type.getSimpleName() + " has to stand in a file " + type.getSimpleName() + ".java", source.line(type), 0);
                return;
            }
        }
        ClassTree main = source.mainClass();
        if (main == null || main.getKind() != Tree.Kind.CLASS) {
            return;
        }
        World.Declared declared = new World.Declared(source, List.of(main));
        TreePath path = Schemas.pathOf(declared);
        at = new World.At(source, List.of(main), Map.of());
        moduleDoc = Docs.of(source, path).text;
        constants = Constants.of(main);
        boolean holder = Schemas.fields(main).isEmpty();
        Map<String, List<Overload>> byName = new LinkedHashMap<>();
        for (Tree member : main.getMembers()) {
            if (!(member instanceof MethodTree method) || method.getReturnType() == null) {
                holder &= !(member instanceof MethodTree constructor) || constructor.getParameters().isEmpty();
            }
        }
        for (Tree member : main.getMembers()) {
            if (!(member instanceof MethodTree method) || method.getReturnType() == null || !method.getModifiers().getFlags().contains(Modifier.PUBLIC)) {
                continue;
            }
            String name = method.getName().toString();
            int line = lineOf(method);
            if (!method.getModifiers().getFlags().contains(Modifier.STATIC)) {
                boolean overrides = method.getModifiers().getAnnotations().stream().anyMatch(one -> one.getAnnotationType().toString().equals("Override"));
                if (holder && !overrides && main.getImplementsClause().isEmpty() && main.getExtendsClause() == null) {
                    unserved(name, line, "it is not static; only public static methods can be called");
                }
                continue;
            }
            if (name.equals("main") && method.getParameters().size() == 1 && source.text(method.getParameters().get(0).getType()).startsWith("String")) {
                continue;
            }
            Docs docs = Docs.of(source, new TreePath(path, method));
            if (docs.hidden) {
                continue;
            }
            try {
                Overload overload = new Overload(method, line, parameters(method, docs), docs, source.text(method.getReturnType()));
                byName.computeIfAbsent(name, any -> new ArrayList<>()).add(overload);
            } catch (Unserved reason) {
                unserved(name, line, reason.getMessage());
            }
        }
        byName.forEach(this::overloads);
    }

    /** The line of the name, not of the annotations before it. */
    private int lineOf(MethodTree method) {
        long from = source.trees.getSourcePositions().getEndPosition(source.unit, method.getReturnType());
        return from < 0 ? source.line(method) : (int) source.unit.getLineMap().getLineNumber(from);
    }

    private void unserved(String name, int line, String reason) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("name", name);
        out.put("line", line);
        out.put("reason", reason);
        unavailable.add(out);
    }

    private World.At inMethod(MethodTree method) {
        Map<String, World.Bound> variables = new HashMap<>();
        for (TypeParameterTree one : method.getTypeParameters()) {
            variables.put(one.getName().toString(), new World.Bound(one.getBounds().isEmpty() ? null : one.getBounds().get(0), at));
        }
        return new World.At(source, at.around(), variables);
    }

    private List<Parameter> parameters(MethodTree method, Docs docs) throws Unserved {
        List<Parameter> out = new ArrayList<>();
        World.At inside = inMethod(method);
        for (VariableTree one : method.getParameters()) {
            try {
                out.add(parameter(one, inside, docs.parameters.getOrDefault(one.getName().toString(), "")));
            } catch (Unserved reason) {
                throw new Unserved("its parameter " + one.getName() + ": " + reason.getMessage());
            }
        }
        return out;
    }

    private Parameter parameter(VariableTree tree, World.At inside, String said) throws Unserved {
        Map<String, Object> told = new LinkedHashMap<>();
        Map<String, Object> index = new LinkedHashMap<>();
        Parameter out = new Parameter(told, index);
        String name = tree.getName().toString();
        Tree type = tree.getType();
        told.put("name", name);
        index.put("name", name);
        index.put("type", erased(type, inside, 0));
        String full = fullName(type, inside);
        if (full.equals("sabir.Context")) {
            told.put("context", true);
            index.put("context", true);
            return out;
        }
        String text = source.text(tree);
        boolean variadic = Schemas.bare(type) instanceof ArrayTypeTree && text.substring(0, text.lastIndexOf(name)).stripTrailing().endsWith("...");
        told.put("type", variadic ? source.text(((ArrayTypeTree) Schemas.bare(type)).getType()).replace("...", "").strip() + "..." : source.text(type));
        Schemas schemas = new Schemas(world);
        Map<String, Object> schema = schemas.of(type, inside, true);
        if (!schemas.warnings.isEmpty()) {
            told.put("warnings", List.copyOf(schemas.warnings));
        }
        boolean nullable = Schemas.isNullable(tree.getModifiers(), type);
        boolean optional = nullable || full.startsWith("java.util.Optional");
        if (nullable) {
            schema = Schemas.nullable(schema);
        }
        if (variadic) {
            told.put("kind", "variadic");
            index.put("variadic", true);
        }
        Matcher match = DEFAULT.matcher(said);
        if (match.find() && !variadic) {
            Object value = literal(match.group(1), schema);
            if (value != null) {
                said = said.substring(0, match.start());
                told.put("default", value);
                index.put("default", value);
                optional = true;
            } else {
                told.put("warnings", List.of("the default of " + name + " is no JSON: " + match.group(1)));
            }
        }
        told.put("required", !optional && !variadic);
        told.put("doc", said);
        if (!schema.isEmpty()) {
            told.put("schema", schema);
        }
        if (optional || variadic) {
            index.put("optional", true);
        }
        if (nullable || schema.isEmpty() || full.startsWith("java.util.Optional")) {
            index.put("nullable", true);
        }
        return out;
    }

    /** A default as JSON; a bare word is a string where strings are expected. null when it is neither. */
    private static Object literal(String text, Map<String, Object> schema) {
        String trimmed = text.replaceAll("^`|`$", "");
        try {
            return Json.parse(trimmed);
        } catch (Json.Malformed wrong) {
            Object type = schema.get("type");
            boolean isText = "string".equals(type) || (type instanceof List<?> kinds && kinds.contains("string")) || schema.get("anyOf") instanceof List<?>;
            return isText ? trimmed.replaceAll("^[\"']|[\"']$", "") : null;
        }
    }

    private String fullName(Tree type, World.At inside) {
        Tree bare = Schemas.bare(type);
        if (bare instanceof PrimitiveTypeTree || bare instanceof ArrayTypeTree) {
            return "";
        }
        World.Found found = inside.variables().containsKey(Schemas.nameOf(bare)) ? null : world.find(Schemas.nameOf(bare), inside);
        return found == null || found.declared() != null ? "" : found.jdk() != null ? found.jdk().getName() : found.name();
    }

    /** The simple name of a type's erasure, as Class.getSimpleName() gives it. */
    private static String erased(Tree type, World.At inside, int depth) {
        Tree bare = Schemas.bare(type);
        if (bare instanceof ArrayTypeTree array) {
            return erased(array.getType(), inside, depth) + "[]";
        }
        if (bare instanceof PrimitiveTypeTree primitive) {
            return primitive.getPrimitiveTypeKind().name().toLowerCase(java.util.Locale.ROOT);
        }
        String name = Schemas.nameOf(bare);
        World.Bound bound = inside.variables().get(name);
        if (bound != null) {
            return bound.type() == null || depth > 20 ? "Object" : erased(bound.type(), inside, depth + 1);
        }
        return name.substring(name.lastIndexOf('.') + 1);
    }

    // Overloads --------------------------------------------------------------------------------------------------------

    private static boolean begins(Overload longer, Overload shorter) {
        if (shorter.parameters.size() >= longer.parameters.size() || !shorter.result.equals(longer.result)) {
            return false;
        }
        for (int i = 0; i < shorter.parameters.size(); i++) {
            if (!shorter.parameters.get(i).name().equals(longer.parameters.get(i).name())
                || !shorter.parameters.get(i).index().get("type").equals(longer.parameters.get(i).index().get("type"))) {
                return false;
            }
        }
        return true;
    }

    /** Overloads that only add parameters at the end are one function with optional ones. */
    private void overloads(String name, List<Overload> all) {
        List<Overload> chain = new ArrayList<>(List.of(all.get(0)));
        for (Overload one : all.subList(1, all.size())) {
            if (chain.stream().allMatch(other -> begins(other, one) || begins(one, other))) {
                chain.add(one);
            } else {
                unserved(name, one.line, "it overloads the one on line " + all.get(0).line + " with other parameters; give it a name of its own");
            }
        }
        chain.sort(Comparator.comparingInt(one -> one.parameters.size()));
        Overload shortest = chain.get(0);
        Overload longest = chain.get(chain.size() - 1);
        Docs docs = chain.stream().map(Overload::docs).filter(one -> !one.text.isEmpty()).reduce((first, second) -> second).orElse(longest.docs);
        Function function = new Function();
        function.name = name;
        List<Object> warnings = new ArrayList<>();
        List<Object> parameters = new ArrayList<>();
        for (int i = 0; i < longest.parameters.size(); i++) {
            Map<String, Object> told = new LinkedHashMap<>(longest.parameters.get(i).told);
            if (told.remove("warnings") instanceof List<?> said) {
                warnings.addAll(said);
            }
            if (i >= shortest.parameters.size() && told.containsKey("required")) {
                told.put("required", false);
            }
            parameters.add(told);
        }
        chain.forEach(one -> function.variants.add(one.parameters));
        Map<String, Object> told = function.told;
        told.put("name", name);
        told.put("line", all.get(0).line);
        told.put("doc", docs.text);
        try {
            told.put("result", result(longest.tree, docs, told, warnings));
        } catch (Unserved reason) {
            unserved(name, longest.line, "its result: " + reason.getMessage());
            return;
        }
        told.put("parameters", parameters);
        told.put("warnings", warnings);
        functions.add(function);
    }

    private Map<String, Object> result(MethodTree method, Docs docs, Map<String, Object> told, List<Object> warnings) throws Unserved {
        World.At inside = inMethod(method);
        Tree type = method.getReturnType();
        Map<String, Object> out = new LinkedHashMap<>();
        String full = fullName(type, inside);
        Schemas schemas = new Schemas(world);
        Map<String, Object> schema;
        if (FUTURES.contains(full)) {
            told.put("async", true);
            type = Schemas.arguments(type).isEmpty() ? null : Schemas.arguments(type).get(0);
            schema = schemas.of(type, inside, false);
        } else if (STREAMS.contains(full)) {
            told.put("generator", true);
            Object items = schemas.of(type, inside, false).get("items");
            schema = items instanceof Map<?, ?> ? Json.object(items) : new LinkedHashMap<>();
        } else {
            schema = schemas.of(type, inside, false);
        }
        warnings.addAll(schemas.warnings);
        out.put("schema", Schemas.isNullable(method.getModifiers(), null) ? Schemas.nullable(schema) : schema);
        out.put("type", source.text(method.getReturnType()));
        out.put("doc", docs.returns);
        return out;
    }
}
