package sabir.internal;

import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Modifier;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * The readers of all types: one for each, made once.
 *
 * <p>Threads: any.
 */
public final class Readers {
    private static final Map<Type, Reader> MADE = new ConcurrentHashMap<>();

    private Readers() {
    }

    /** @throws Refused when values of this type cannot be made from JSON */
    public static Reader of(Type type) throws Refused {
        Type resolved = Types.resolve(type, Map.of());
        Reader known = MADE.get(resolved);
        if (known == null) {
            known = of(resolved, new HashMap<>());
            MADE.put(resolved, known);
        }
        return known;
    }

    private static Reader of(Type type, Map<Type, Reader> open) throws Refused {
        Reader known = MADE.containsKey(type) ? MADE.get(type) : open.get(type);
        if (known != null) {
            return known;
        }
        // A type that holds itself is read by the reader that is being made.
        Reader[] made = new Reader[1];
        open.put(type, tree -> made[0].read(tree));
        made[0] = make(type, Types.raw(type), open);
        return made[0];
    }

    private static Reader make(Type type, Class<?> raw, Map<Type, Reader> open) throws Refused {
        Reader scalar = Scalars.ALL.get(raw);
        if (scalar != null) {
            return scalar;
        }
        if (raw.isArray()) {
            return array(type instanceof java.lang.reflect.GenericArrayType generic ? generic.getGenericComponentType() : raw.getComponentType(), open);
        }
        if (raw == Optional.class) {
            Reader inner = of(Types.argument(type, 0), open);
            return tree -> tree == null ? Optional.empty() : Optional.of(inner.read(tree));
        }
        if (raw == Stream.class || raw == Iterator.class) {
            Reader list = collection(Types.argument(type, 0), ArrayList::new, open);
            return tree -> tree == null ? null : raw == Stream.class ? ((List<?>) list.read(tree)).stream() : ((List<?>) list.read(tree)).iterator();
        }
        if (Iterable.class.isAssignableFrom(raw)) {
            Reader made = collections(type, raw, open);
            if (made != null) {
                return made;
            }
        }
        if (Map.class.isAssignableFrom(raw)) {
            return map(type, raw, open);
        }
        if (raw.isEnum()) {
            return enumeration(raw);
        }
        if (raw.isRecord()) {
            return record(type, raw, open);
        }
        if (raw.isSealed() && (raw.isInterface() || Modifier.isAbstract(raw.getModifiers()))) {
            return sealed(type, raw, open);
        }
        return Beans.reader(type, raw, one -> of(one, open));
    }

    private static Reader array(Type itemType, Map<Type, Reader> open) throws Refused {
        Reader item = of(itemType, open);
        Class<?> raw = Types.raw(itemType);
        return tree -> {
            if (tree == null) {
                return null;
            }
            List<?> items = list(tree);
            Object out = Array.newInstance(raw, items.size());
            for (int i = 0; i < items.size(); i++) {
                Array.set(out, i, at(item, items.get(i), i));
            }
            return out;
        };
    }

    private static List<?> list(Object tree) throws Refused {
        if (tree instanceof List<?> items) {
            return items;
        }
        throw Scalars.refuse("an array", tree);
    }

    private static Map<String, Object> object(Object tree) throws Refused {
        Map<String, Object> members = Json.object(tree);
        if (members == null) {
            throw Scalars.refuse("an object", tree);
        }
        return members;
    }

    private static Object at(Reader reader, Object tree, int index) throws Refused {
        try {
            return reader.read(tree);
        } catch (Refused refused) {
            throw refused.within(index);
        }
    }

    static Object at(Reader reader, Object tree, String name) throws Refused {
        try {
            return reader.read(tree);
        } catch (Refused refused) {
            throw refused.within(name);
        }
    }

    private static Reader collection(Type itemType, Supplier<Collection<Object>> make, Map<Type, Reader> open) throws Refused {
        Reader item = of(itemType, open);
        return tree -> {
            if (tree == null) {
                return null;
            }
            List<?> items = list(tree);
            Collection<Object> out = make.get();
            for (int i = 0; i < items.size(); i++) {
                Object one = at(item, items.get(i), i);
                try {
                    out.add(one);
                } catch (NullPointerException | ClassCastException wrong) {
                    throw new Refused("an item that the collection does not take").within(i);
                }
            }
            return out;
        };
    }

    /** null when the class is no collection that can be made here. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Reader collections(Type type, Class<?> raw, Map<Type, Reader> open) throws Refused {
        Type item = Types.argument(type, 0);
        if (raw.isAssignableFrom(ArrayList.class)) {
            return collection(item, ArrayList::new, open);
        }
        if (raw.isAssignableFrom(LinkedHashSet.class)) {
            return collection(item, LinkedHashSet::new, open);
        }
        if (raw.isAssignableFrom(TreeSet.class)) {
            return collection(item, TreeSet::new, open);
        }
        if (raw.isAssignableFrom(ArrayDeque.class)) {
            return collection(item, ArrayDeque::new, open);
        }
        if (raw == EnumSet.class && Types.raw(item).isEnum()) {
            return collection(item, () -> EnumSet.noneOf((Class) item), open);
        }
        Supplier<Object> make = Collection.class.isAssignableFrom(raw) ? maker(raw) : null;
        return make == null ? null : collection(item, () -> (Collection<Object>) make.get(), open);
    }

    /** Makes instances by the public constructor without parameters; null where there is none. */
    private static Supplier<Object> maker(Class<?> raw) {
        if (Modifier.isAbstract(raw.getModifiers())) {
            return null;
        }
        try {
            Constructor<?> constructor = raw.getConstructor();
            return () -> {
                try {
                    return constructor.newInstance();
                } catch (ReflectiveOperationException wrong) {
                    throw new IllegalStateException(wrong);
                }
            };
        } catch (NoSuchMethodException none) {
            return null;
        }
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Reader map(Type type, Class<?> raw, Map<Type, Reader> open) throws Refused {
        Type keyType = Types.argument(type, 0);
        Class<?> key = Types.raw(keyType);
        Reader keys = of(keyType, open);
        Reader values = of(Types.argument(type, 1), open);
        Supplier<Object> make;
        if (raw.isAssignableFrom(LinkedHashMap.class)) {
            make = LinkedHashMap::new;
        } else if (raw.isAssignableFrom(TreeMap.class)) {
            make = TreeMap::new;
        } else if (raw == ConcurrentMap.class) {
            make = ConcurrentHashMap::new;
        } else if (raw == EnumMap.class) {
            make = () -> new EnumMap((Class) key);
        } else {
            make = maker(raw);
        }
        if (make == null) {
            throw new Refused(raw.getName() + " cannot be made from JSON; use Map");
        }
        boolean text = key == String.class || key == Object.class;
        boolean number = Number.class.isAssignableFrom(key);
        return tree -> {
            if (tree == null) {
                return null;
            }
            Map<Object, Object> out = (Map<Object, Object>) make.get();
            for (Map.Entry<String, Object> member : object(tree).entrySet()) {
                Object name = member.getKey();
                if (number) {
                    try {
                        name = keys.read(Json.parse(member.getKey()));
                    } catch (Json.Malformed wrong) {
                        throw new Refused("the key '" + name + "' is no number");
                    }
                } else if (!text) {
                    name = at(keys, name, member.getKey());
                }
                out.put(name, at(values, member.getValue(), member.getKey()));
            }
            return out;
        };
    }

    private static Reader enumeration(Class<?> raw) {
        Map<String, Object> byName = new LinkedHashMap<>();
        for (Object one : raw.getEnumConstants()) {
            byName.put(((Enum<?>) one).name(), one);
        }
        return tree -> {
            if (tree == null) {
                return null;
            }
            Object found = tree instanceof String text ? byName.get(text) : null;
            if (found == null) {
                throw Scalars.refuse("one of " + String.join(", ", byName.keySet()), tree);
            }
            return found;
        };
    }

    private static Reader record(Type type, Class<?> raw, Map<Type, Reader> open) throws Refused {
        RecordComponent[] components = raw.getRecordComponents();
        Map<TypeVariable<?>, Type> variables = Types.variables(type);
        Map<String, Integer> places = new HashMap<>();
        Reader[] readers = new Reader[components.length];
        Class<?>[] types = new Class<?>[components.length];
        for (int i = 0; i < components.length; i++) {
            try {
                readers[i] = of(Types.resolve(components[i].getGenericType(), variables), open);
            } catch (Refused refused) {
                throw refused.within(components[i].getName());
            }
            types[i] = components[i].getType();
            places.put(components[i].getName(), i);
        }
        Constructor<?> constructor;
        try {
            constructor = raw.getDeclaredConstructor(types);
            constructor.setAccessible(true);
        } catch (NoSuchMethodException | RuntimeException wrong) {
            throw new Refused(raw.getName() + " cannot be made: " + wrong.getMessage());
        }
        return tree -> {
            if (tree == null) {
                return null;
            }
            Object[] values = new Object[readers.length];
            boolean[] given = new boolean[readers.length];
            for (Map.Entry<String, Object> member : object(tree).entrySet()) {
                Integer place = places.get(member.getKey());
                if (place == null) {
                    throw new Refused(raw.getSimpleName() + " has no component " + member.getKey());
                }
                values[place] = at(readers[place], member.getValue(), member.getKey());
                given[place] = true;
            }
            for (int i = 0; i < readers.length; i++) {
                if (!given[i]) {
                    if (types[i].isPrimitive()) {
                        throw new Refused("the component " + components[i].getName() + " is missing");
                    }
                    values[i] = readers[i].read(null);
                }
            }
            return made(constructor, values);
        };
    }

    /** A constructor that throws has refused its arguments. */
    static Object made(Constructor<?> constructor, Object[] values) throws Refused {
        try {
            return constructor.newInstance(values);
        } catch (InvocationTargetException thrown) {
            if (thrown.getCause() instanceof Error error && !(error instanceof AssertionError)) {
                throw error;
            }
            String said = thrown.getCause().getMessage();
            throw new Refused(said == null ? constructor.getDeclaringClass().getSimpleName() + " refuses it: " + thrown.getCause().getClass().getSimpleName() : said);
        } catch (ReflectiveOperationException wrong) {
            throw new Refused(constructor.getDeclaringClass().getName() + " cannot be made: " + wrong.getMessage());
        }
    }

    private record Choice(Class<?> type, Reader reader, Set<String> names) {
    }

    /** The permitted class whose components are the members' names; among several, the first that takes the values. */
    private static Reader sealed(Type type, Class<?> raw, Map<Type, Reader> open) throws Refused {
        List<Choice> choices = new ArrayList<>();
        permitted(raw, open, choices, 0);
        return tree -> {
            if (tree == null) {
                return null;
            }
            Refused first = null;
            Set<String> given = tree instanceof Map<?, ?> ? object(tree).keySet() : Set.of();
            for (boolean exact : new boolean[] {true, false}) {
                for (Choice choice : choices) {
                    if (exact != choice.names.equals(given)) {
                        continue;
                    }
                    try {
                        return choice.reader.read(tree);
                    } catch (Refused refused) {
                        first = first == null ? refused : first;
                    }
                }
            }
            throw first == null ? new Refused(raw.getName() + " permits nothing that can be made") : first;
        };
    }

    private static void permitted(Class<?> raw, Map<Type, Reader> open, List<Choice> into, int depth) throws Refused {
        if (depth > 20) {
            return;
        }
        for (Class<?> one : raw.getPermittedSubclasses()) {
            if (one.isSealed() && (one.isInterface() || Modifier.isAbstract(one.getModifiers()))) {
                permitted(one, open, into, depth + 1);
                continue;
            }
            Set<String> names = new LinkedHashSet<>();
            if (one.isRecord()) {
                for (RecordComponent component : one.getRecordComponents()) {
                    names.add(component.getName());
                }
            }
            into.add(new Choice(one, of(one, open), names));
        }
    }
}
