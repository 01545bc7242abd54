package sabir.internal;

import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Classes with members: records, and classes whose fields are public or have a getter and a setter.
 *
 * <p>Threads: any.
 */
final class Beans {
    private Beans() {
    }

    /** One member of a class; `read` gives its value of an instance. */
    record Member(String name, Type type, Accessor read, Field field, Method set) {
    }

    interface Accessor {
        Object of(Object instance) throws ReflectiveOperationException;
    }

    interface Make {
        Reader of(Type type) throws Refused;
    }

    private static final Map<Class<?>, List<Member>> MEMBERS = new ConcurrentHashMap<>();

    /** The members of a class in the order of its source; empty for those of the JDK and for what has none. */
    static List<Member> members(Class<?> type) {
        return MEMBERS.computeIfAbsent(type, Beans::find);
    }

    private static List<Member> find(Class<?> type) {
        List<Member> out = new ArrayList<>();
        if (type.getClassLoader() == null || type.getName().startsWith("java.") || type.isHidden() || type.isSynthetic()) {
            return out;
        }
        if (type.isRecord()) {
            for (RecordComponent component : type.getRecordComponents()) {
                Method accessor = component.getAccessor();
                accessor.setAccessible(true);
                out.add(new Member(component.getName(), component.getGenericType(), accessor::invoke, null, null));
            }
            return out;
        }
        if (Throwable.class.isAssignableFrom(type)) {
            return out;
        }
        List<Class<?>> line = new ArrayList<>();
        for (Class<?> one = type; one != null && one != Object.class; one = one.getSuperclass()) {
            line.add(0, one);
        }
        Map<String, Member> found = new LinkedHashMap<>();
        for (Class<?> one : line) {
            for (Field field : one.getDeclaredFields()) {
                int modifiers = field.getModifiers();
                if (Modifier.isStatic(modifiers) || Modifier.isTransient(modifiers) || field.isSynthetic()) {
                    continue;
                }
                String title = Character.toUpperCase(field.getName().charAt(0)) + field.getName().substring(1);
                Method get = method(type, field.getType() == boolean.class ? "is" + title : "get" + title);
                get = get == null ? method(type, "get" + title) : get;
                Method set = method(type, "set" + title, field.getType());
                if (Modifier.isPublic(modifiers)) {
                    field.setAccessible(true);
                    found.put(field.getName(), new Member(field.getName(), field.getGenericType(), field::get, Modifier.isFinal(modifiers) ? null : field, set));
                } else if (get != null && get.getReturnType() == field.getType()) {
                    get.setAccessible(true);
                    if (set != null) {
                        set.setAccessible(true);
                    }
                    found.put(field.getName(), new Member(field.getName(), field.getGenericType(), get::invoke, null, set));
                }
            }
        }
        out.addAll(found.values());
        return out;
    }

    private static Method method(Class<?> type, String name, Class<?>... parameters) {
        try {
            Method method = type.getMethod(name, parameters);
            return Modifier.isStatic(method.getModifiers()) ? null : method;
        } catch (NoSuchMethodException none) {
            return null;
        }
    }

    static Reader reader(Type type, Class<?> raw, Make make) throws Refused {
        if (raw.isInterface() || Modifier.isAbstract(raw.getModifiers())) {
            throw new Refused(raw.getName() + " says nothing of what it holds; use a record");
        }
        Map<TypeVariable<?>, Type> variables = Types.variables(type);
        Map<String, Member> settable = new LinkedHashMap<>();
        Map<String, Reader> readers = new LinkedHashMap<>();
        for (Member member : members(raw)) {
            if (member.field != null || member.set != null) {
                settable.put(member.name, member);
                readers.put(member.name, make.of(Types.resolve(member.type, variables)));
            }
        }
        Constructor<?> constructor;
        try {
            constructor = raw.getDeclaredConstructor();
            constructor.setAccessible(true);
        } catch (NoSuchMethodException | RuntimeException none) {
            constructor = null;
        }
        if (constructor == null || settable.isEmpty()) {
            throw new Refused(raw.getName() + " cannot be made from JSON; use a record");
        }
        Constructor<?> making = constructor;
        return tree -> {
            if (tree == null) {
                return null;
            }
            Map<String, Object> given = Json.object(tree);
            if (given == null) {
                throw Scalars.refuse("an object", tree);
            }
            Object out = Readers.made(making, new Object[0]);
            for (Map.Entry<String, Object> one : given.entrySet()) {
                Member member = settable.get(one.getKey());
                if (member == null) {
                    throw new Refused(raw.getSimpleName() + " has no member " + one.getKey());
                }
                Object value = Readers.at(readers.get(one.getKey()), one.getValue(), one.getKey());
                if (value == null && Types.raw(member.type).isPrimitive()) {
                    throw new Refused("expected a value, got null").within(one.getKey());
                }
                set(out, member, value);
            }
            return out;
        };
    }

    private static void set(Object instance, Member member, Object value) throws Refused {
        try {
            if (member.set != null) {
                member.set.invoke(instance, value);
            } else {
                member.field.set(instance, value);
            }
        } catch (InvocationTargetException thrown) {
            String said = thrown.getCause().getMessage();
            throw new Refused(said == null ? "refused with " + thrown.getCause().getClass().getSimpleName() : said).within(member.name);
        } catch (ReflectiveOperationException wrong) {
            throw new Refused(wrong.toString()).within(member.name);
        }
    }
}
