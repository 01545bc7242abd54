package sabir.tools;

import com.sun.source.tree.AnnotatedTypeTree;
import com.sun.source.tree.AnnotationTree;
import com.sun.source.tree.ArrayTypeTree;
import com.sun.source.tree.ClassTree;
import com.sun.source.tree.IdentifierTree;
import com.sun.source.tree.MemberSelectTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.ModifiersTree;
import com.sun.source.tree.NewClassTree;
import com.sun.source.tree.ParameterizedTypeTree;
import com.sun.source.tree.PrimitiveTypeTree;
import com.sun.source.tree.Tree;
import com.sun.source.tree.VariableTree;
import com.sun.source.tree.WildcardTree;
import com.sun.source.util.TreePath;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import javax.lang.model.element.Modifier;
import javax.lang.model.type.TypeKind;

/** Types as JSON Schema, as sabir.internal.Readers and Writer of the SDK take and give them. */
final class Schemas {
    /** What JSON cannot carry, or what is not understood. */
    static final class Unserved extends Exception {
        private static final long serialVersionUID = 1;

        Unserved(String message) {
            super(message, null, false, false);
        }
    }

    private static final int DEEPEST = 64;
    private final World world;
    private final Deque<String> open = new ArrayDeque<>();
    final Set<String> warnings = new LinkedHashSet<>();
    /** Whether values are made of what comes in, or only given. */
    private boolean input;

    Schemas(World world) {
        this.world = world;
    }

    Map<String, Object> of(Tree type, World.At at, boolean isInput) throws Unserved {
        input = isInput;
        return schema(type, at);
    }

    static Map<String, Object> type(String name, Object... more) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("type", name);
        for (int i = 0; i < more.length; i += 2) {
            out.put((String) more[i], more[i + 1]);
        }
        return out;
    }

    /** The schema or null. */
    static Map<String, Object> nullable(Map<String, Object> schema) {
        if (schema.isEmpty()) {
            return schema;
        }
        Map<String, Object> out = new LinkedHashMap<>();
        Object kind = schema.get("type");
        if (schema.size() == 1 && kind instanceof String) {
            out.put("type", List.of(kind, "null"));
            return out;
        }
        if (schema.size() == 1 && (kind instanceof List<?> kinds && kinds.contains("null"))) {
            return schema;
        }
        List<Object> choices = new ArrayList<>();
        if (schema.size() == 1 && schema.get("anyOf") instanceof List<?> there) {
            choices.addAll(there);
        } else {
            choices.add(schema);
        }
        if (!choices.contains(type("null"))) {
            choices.add(type("null"));
        }
        out.put("anyOf", choices);
        return out;
    }

    static boolean isNullable(ModifiersTree modifiers, Tree type) {
        if (modifiers != null && saysNullable(modifiers.getAnnotations())) {
            return true;
        }
        return type instanceof AnnotatedTypeTree annotated && saysNullable(annotated.getAnnotations());
    }

    private static boolean saysNullable(List<? extends AnnotationTree> annotations) {
        return annotations.stream().anyMatch(one -> {
            String name = one.getAnnotationType().toString();
            return name.substring(name.lastIndexOf('.') + 1).equals("Nullable");
        });
    }

    static Tree bare(Tree type) {
        return type instanceof AnnotatedTypeTree annotated ? bare(annotated.getUnderlyingType()) : type;
    }

    /** A type's name without its arguments and annotations. */
    static String nameOf(Tree type) {
        Tree bare = bare(type);
        if (bare instanceof ParameterizedTypeTree made) {
            return nameOf(made.getType());
        }
        if (bare instanceof MemberSelectTree select) {
            return nameOf(select.getExpression()) + "." + select.getIdentifier();
        }
        return bare instanceof IdentifierTree name ? name.getName().toString() : String.valueOf(bare);
    }

    static List<? extends Tree> arguments(Tree type) {
        return bare(type) instanceof ParameterizedTypeTree made ? made.getTypeArguments() : List.of();
    }

    private Map<String, Object> schema(Tree type, World.At at) throws Unserved {
        if (type == null) {
            return new LinkedHashMap<>();
        }
        if (type instanceof AnnotatedTypeTree annotated) {
            Map<String, Object> inner = schema(annotated.getUnderlyingType(), at);
            return saysNullable(annotated.getAnnotations()) ? nullable(inner) : inner;
        }
        if (type instanceof PrimitiveTypeTree primitive) {
            return primitive(primitive.getPrimitiveTypeKind());
        }
        if (type instanceof ArrayTypeTree array) {
            Tree item = bare(array.getType());
            if (item instanceof PrimitiveTypeTree one && one.getPrimitiveTypeKind() == TypeKind.BYTE) {
                return type("string", "contentEncoding", "base64");
            }
            return array(schema(array.getType(), at));
        }
        if (type instanceof WildcardTree wildcard) {
            return schema(wildcard.getBound(), at);
        }
        String name = nameOf(type);
        World.Bound bound = at.variables().get(name);
        if (bound != null) {
            return schema(bound.type(), bound.at());
        }
        World.Found found = world.find(name, at);
        if (found == null) {
            throw new Unserved("the type " + name + " is not declared here and not imported");
        }
        if (found.declared() != null) {
            return declared(found.declared(), arguments(type), at);
        }
        if (found.jdk() != null) {
            return jdk(found.jdk(), arguments(type), at);
        }
        if (found.name().startsWith("sabir.")) {
            return sdk(found.name());
        }
        if (found.name().startsWith("java.")) {
            throw new Unserved("this Java has no " + found.name());
        }
        warnings.add("the sources of " + found.name() + " are not at hand, so " + name + " accepts anything here; the function refuses what does not fit");
        return new LinkedHashMap<>();
    }

    private static Map<String, Object> array(Map<String, Object> items) {
        Map<String, Object> out = type("array");
        if (!items.isEmpty()) {
            out.put("items", items);
        }
        return out;
    }

    static Map<String, Object> primitive(TypeKind kind) {
        return switch (kind) {
            case BOOLEAN -> type("boolean");
            case BYTE -> type("integer", "minimum", (long) Byte.MIN_VALUE, "maximum", (long) Byte.MAX_VALUE);
            case SHORT -> type("integer", "minimum", (long) Short.MIN_VALUE, "maximum", (long) Short.MAX_VALUE);
            case INT -> type("integer", "minimum", (long) Integer.MIN_VALUE, "maximum", (long) Integer.MAX_VALUE);
            case LONG -> type("integer");
            case FLOAT, DOUBLE -> type("number");
            case CHAR -> type("string", "minLength", 1L, "maxLength", 1L);
            default -> type("null");
        };
    }

    private static final Map<String, Map<String, Object>> KNOWN = new LinkedHashMap<>();

    static {
        for (TypeKind kind : TypeKind.values()) {
            if (kind.isPrimitive()) {
                String name = kind.name().charAt(0) + kind.name().substring(1).toLowerCase(Locale.ROOT);
                KNOWN.put("java.lang." + (name.equals("Int") ? "Integer" : name.equals("Char") ? "Character" : name), primitive(kind));
            }
        }
        KNOWN.put("java.lang.Void", type("null"));
        KNOWN.put("java.lang.Object", new LinkedHashMap<>());
        KNOWN.put("java.lang.Number", type("number"));
        for (String name : List.of("java.lang.String", "java.lang.CharSequence", "java.time.LocalTime", "java.time.LocalDateTime", "java.time.OffsetTime", "java.time.Period",
            "java.time.Month", "java.time.ZoneId", "java.nio.file.Path", "java.io.File", "java.util.Locale", "java.util.Currency", "java.util.regex.Pattern",
            "java.nio.charset.Charset")) {
            KNOWN.put(name, type("string"));
        }
        KNOWN.put("java.time.YearMonth", type("string", "pattern", "^\\d{4}-\\d{2}$"));
        KNOWN.put("java.time.Year", type("integer"));
        KNOWN.put("java.time.LocalDate", type("string", "format", "date"));
        for (String name : List.of("java.time.Instant", "java.time.OffsetDateTime", "java.time.ZonedDateTime", "java.util.Date")) {
            KNOWN.put(name, type("string", "format", "date-time"));
        }
        KNOWN.put("java.time.Duration", type("string", "format", "duration"));
        KNOWN.put("java.util.UUID", type("string", "format", "uuid"));
        KNOWN.put("java.net.URI", type("string", "format", "uri-reference"));
        KNOWN.put("java.math.BigInteger", type("integer"));
        KNOWN.put("java.math.BigDecimal", type("number"));
        KNOWN.put("java.util.OptionalInt", nullable(primitive(TypeKind.INT)));
        KNOWN.put("java.util.OptionalLong", nullable(type("integer")));
        KNOWN.put("java.util.OptionalDouble", nullable(type("number")));
        KNOWN.put("java.util.stream.IntStream", array(primitive(TypeKind.INT)));
        KNOWN.put("java.util.stream.LongStream", array(type("integer")));
        KNOWN.put("java.util.stream.DoubleStream", array(type("number")));
    }

    private Map<String, Object> jdk(Class<?> type, List<? extends Tree> arguments, World.At at) throws Unserved {
        Map<String, Object> known = KNOWN.get(type.getName());
        if (known != null) {
            return new LinkedHashMap<>(known);
        }
        Tree first = arguments.isEmpty() ? null : arguments.get(0);
        if (type == Optional.class) {
            return nullable(schema(first, at));
        }
        if (Set.class.isAssignableFrom(type)) {
            Map<String, Object> out = array(schema(first, at));
            out.put("uniqueItems", true);
            return out;
        }
        if (Collection.class.isAssignableFrom(type) || type == Iterable.class || type.getName().equals("java.util.stream.Stream") || type == java.util.Iterator.class) {
            return array(schema(first, at));
        }
        if (Map.class.isAssignableFrom(type)) {
            return map(first, arguments.size() > 1 ? arguments.get(1) : null, at);
        }
        if (type.getName().startsWith("java.util.function.") || type == Runnable.class || type.getName().equals("java.util.concurrent.Callable")) {
            throw new Unserved("a function cannot be carried as JSON");
        }
        if (type.getName().startsWith("java.util.concurrent.") && java.util.concurrent.Future.class.isAssignableFrom(type)) {
            throw new Unserved("a future can only be the result");
        }
        throw new Unserved("JSON has no form for " + type.getName());
    }

    private Map<String, Object> map(Tree keyType, Tree valueType, World.At at) throws Unserved {
        Map<String, Object> key = schema(keyType, at);
        Map<String, Object> values = schema(valueType, at);
        Map<String, Object> out = type("object");
        Object kind = key.get("type");
        if (key.get("enum") != null) {
            out.put("propertyNames", Map.of("enum", key.get("enum")));
        } else if ("integer".equals(kind)) {
            out.put("propertyNames", Map.of("pattern", "^-?[0-9]+$"));
        } else if (!key.isEmpty() && !"string".equals(kind)) {
            throw new Unserved("the keys of a map have to be texts, integers or an enum");
        } else if (key.get("format") != null) {
            out.put("propertyNames", Map.of("format", key.get("format")));
        }
        if (!values.isEmpty()) {
            out.put("additionalProperties", values);
        }
        return out;
    }

    private Map<String, Object> sdk(String name) throws Unserved {
        switch (name) {
            case "sabir.Context":
                return type("object", "additionalProperties", type("string"));
            case "sabir.Message":
                return members(List.of("role", "content"), Map.of("role", type("string"), "content", type("string")), List.of("role", "content"));
            case "sabir.Memory.Item":
                return members(List.of("key", "value", "version", "updatedMs"), Map.of("key", type("string"), "value", new LinkedHashMap<>(), "version", type("integer"), "updatedMs", type("integer")),
                    List.of("key", "value", "version", "updatedMs"));
            case "sabir.Answer", "sabir.Reply", "sabir.FunctionInfo":
                return type("object");
            default:
                throw new Unserved("a " + name + " cannot be carried as JSON");
        }
    }

    private static Map<String, Object> members(List<String> order, Map<String, Map<String, Object>> properties, List<String> required) {
        Map<String, Object> ordered = new LinkedHashMap<>();
        order.forEach(name -> ordered.put(name, properties.get(name)));
        Map<String, Object> out = type("object", "properties", ordered);
        if (!required.isEmpty()) {
            out.put("required", required);
        }
        out.put("additionalProperties", false);
        return out;
    }

    private Map<String, Object> declared(World.Declared declared, List<? extends Tree> arguments, World.At from) throws Unserved {
        String id = declared.id();
        if (open.contains(id) || open.size() > DEEPEST) {
            return new LinkedHashMap<>();
        }
        open.push(id);
        try {
            ClassTree tree = declared.tree();
            World.At at = World.within(declared, arguments, from);
            Docs docs = Docs.of(declared.source(), pathOf(declared));
            Map<String, Object> out;
            switch (tree.getKind()) {
                case ENUM -> out = enumeration(tree);
                case RECORD -> out = record(tree, at, docs);
                default -> {
                    if (tree.getModifiers().getFlags().contains(Modifier.SEALED)) {
                        out = sealed(declared, at);
                    } else if (tree.getKind() == Tree.Kind.INTERFACE || tree.getModifiers().getFlags().contains(Modifier.ABSTRACT)) {
                        if (input) {
                            throw new Unserved(tree.getSimpleName() + " says nothing of what it holds; use a record, or make it sealed");
                        }
                        return new LinkedHashMap<>();
                    } else {
                        out = bean(declared, at);
                    }
                }
            }
            if (!docs.text.isEmpty()) {
                out.put("description", docs.firstParagraph());
            }
            return out;
        } finally {
            open.pop();
        }
    }

    static TreePath pathOf(World.Declared declared) {
        TreePath path = new TreePath(declared.source().unit);
        for (ClassTree one : declared.line()) {
            path = new TreePath(path, one);
        }
        return path;
    }

    static List<VariableTree> fields(ClassTree tree) {
        List<VariableTree> out = new ArrayList<>();
        for (Tree member : tree.getMembers()) {
            if (member instanceof VariableTree field && !field.getModifiers().getFlags().contains(Modifier.STATIC)) {
                out.add(field);
            }
        }
        return out;
    }

    static List<String> constants(ClassTree tree) {
        List<String> out = new ArrayList<>();
        for (Tree member : tree.getMembers()) {
            if (member instanceof VariableTree field && field.getModifiers().getFlags().contains(Modifier.STATIC) && field.getInitializer() instanceof NewClassTree made
                && made.getIdentifier().toString().equals(tree.getSimpleName().toString()) && String.valueOf(field.getType()).equals(tree.getSimpleName().toString())) {
                out.add(field.getName().toString());
            }
        }
        return out;
    }

    private static Map<String, Object> enumeration(ClassTree tree) throws Unserved {
        List<String> names = constants(tree);
        if (names.isEmpty()) {
            throw new Unserved("the enum " + tree.getSimpleName() + " has no constants");
        }
        return type("string", "enum", names);
    }

    private Map<String, Object> record(ClassTree tree, World.At at, Docs docs) throws Unserved {
        List<String> order = new ArrayList<>();
        Map<String, Map<String, Object>> properties = new LinkedHashMap<>();
        List<String> required = new ArrayList<>();
        for (VariableTree component : fields(tree)) {
            String name = component.getName().toString();
            member(component, at, docs.parameters.get(name), properties);
            order.add(name);
            if (!isNullable(component.getModifiers(), component.getType()) && !nameOf(component.getType()).matches("(java\\.util\\.)?Optional(Int|Long|Double)?")) {
                required.add(name);
            }
        }
        return members(order, properties, required);
    }

    private void member(VariableTree field, World.At at, String said, Map<String, Map<String, Object>> into) throws Unserved {
        Map<String, Object> schema;
        try {
            schema = schema(field.getType(), at);
        } catch (Unserved unserved) {
            throw new Unserved("its member " + field.getName() + ": " + unserved.getMessage());
        }
        if (isNullable(field.getModifiers(), null)) {
            schema = nullable(schema);
        }
        if (said != null && !said.isEmpty()) {
            schema = new LinkedHashMap<>(schema);
            schema.put("description", said);
        }
        into.put(field.getName().toString(), schema);
    }

    private Map<String, Object> sealed(World.Declared declared, World.At at) throws Unserved {
        List<Object> choices = new ArrayList<>();
        ClassTree tree = declared.tree();
        List<? extends Tree> permits = tree.getPermitsClause();
        if (permits.isEmpty()) {
            for (World.Declared one : within(declared.source())) {
                if (extending(one.tree(), tree.getSimpleName().toString())) {
                    add(choices, declared(one, List.of(), at));
                }
            }
        }
        for (Tree one : permits) {
            World.Found found = world.find(nameOf(one), at);
            if (found == null || found.declared() == null) {
                throw new Unserved("the permitted " + nameOf(one) + " is not at hand");
            }
            add(choices, declared(found.declared(), List.of(), at));
        }
        if (choices.isEmpty()) {
            throw new Unserved(tree.getSimpleName() + " permits no class that is at hand");
        }
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("anyOf", choices);
        return out;
    }

    private static void add(List<Object> choices, Map<String, Object> one) {
        if (one.size() == 1 && one.get("anyOf") instanceof List<?> inner) {
            choices.addAll(inner);
        } else if (!choices.contains(one)) {
            choices.add(one);
        }
    }

    private static boolean extending(ClassTree tree, String name) {
        if (tree.getExtendsClause() != null && nameOf(tree.getExtendsClause()).endsWith(name)) {
            return true;
        }
        return tree.getImplementsClause().stream().anyMatch(one -> nameOf(one).equals(name) || nameOf(one).endsWith("." + name));
    }

    /** Every type of a file. */
    private static List<World.Declared> within(Source source) {
        List<World.Declared> out = new ArrayList<>();
        source.types.values().forEach(one -> nested(new World.Declared(source, List.of(one)), out));
        return out;
    }

    private static void nested(World.Declared declared, List<World.Declared> into) {
        into.add(declared);
        for (Tree member : declared.tree().getMembers()) {
            if (member instanceof ClassTree inner) {
                nested(declared.nested(inner.getSimpleName().toString()), into);
            }
        }
    }

    private Map<String, Object> bean(World.Declared declared, World.At at) throws Unserved {
        ClassTree tree = declared.tree();
        boolean constructors = false;
        boolean plain = false;
        for (Tree member : tree.getMembers()) {
            if (member instanceof MethodTree method && method.getReturnType() == null && method.getName().contentEquals("<init>")) {
                constructors = true;
                plain |= method.getParameters().isEmpty();
            }
        }
        List<String> order = new ArrayList<>();
        Map<String, Map<String, Object>> properties = new LinkedHashMap<>();
        List<String> required = new ArrayList<>();
        beanMembers(declared, at, order, properties, required, 0);
        if (properties.isEmpty() || (input && constructors && !plain)) {
            throw new Unserved(tree.getSimpleName() + " is no record and has no " + (properties.isEmpty() ? "public fields, nor getters with setters" : "constructor without parameters"));
        }
        return members(order, properties, required);
    }

    private void beanMembers(World.Declared declared, World.At at, List<String> order, Map<String, Map<String, Object>> properties, List<String> required, int depth) throws Unserved {
        ClassTree tree = declared.tree();
        if (tree.getExtendsClause() != null && depth < 10) {
            World.Found parent = world.find(nameOf(tree.getExtendsClause()), at);
            if (parent != null && parent.declared() != null) {
                beanMembers(parent.declared(), World.within(parent.declared(), arguments(tree.getExtendsClause()), at), order, properties, required, depth + 1);
            }
        }
        Map<String, Integer> methods = new LinkedHashMap<>();
        for (Tree member : tree.getMembers()) {
            if (member instanceof MethodTree method && method.getModifiers().getFlags().contains(Modifier.PUBLIC) && !method.getModifiers().getFlags().contains(Modifier.STATIC)) {
                methods.put(method.getName().toString(), method.getParameters().size());
            }
        }
        for (VariableTree field : fields(tree)) {
            Set<Modifier> flags = field.getModifiers().getFlags();
            String name = field.getName().toString();
            String title = Character.toUpperCase(name.charAt(0)) + name.substring(1);
            boolean get = Integer.valueOf(0).equals(methods.get("get" + title)) || Integer.valueOf(0).equals(methods.get("is" + title));
            boolean set = Integer.valueOf(1).equals(methods.get("set" + title));
            boolean open = flags.contains(Modifier.PUBLIC);
            if (flags.contains(Modifier.TRANSIENT) || (input ? !(open && !flags.contains(Modifier.FINAL)) && !(set && (get || open)) : !open && !get)) {
                continue;
            }
            TreePath path = new TreePath(pathOf(declared), field);
            member(field, at, Docs.of(declared.source(), path).text, properties);
            order.remove(name);
            order.add(name);
            if (field.getInitializer() == null && !isNullable(field.getModifiers(), field.getType())) {
                required.add(name);
            }
        }
    }
}
