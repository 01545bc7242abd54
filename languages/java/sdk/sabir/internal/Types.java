package sabir.internal;

import java.lang.reflect.GenericArrayType;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.util.Arrays;
import java.util.Map;

/** Types with their variables filled in. */
final class Types {
    private Types() {
    }

    /** A class with its type arguments. */
    record Made(Class<?> of, java.util.List<Type> arguments) implements ParameterizedType {
        @Override
        public Type[] getActualTypeArguments() {
            return arguments.toArray(Type[]::new);
        }

        @Override
        public Type getRawType() {
            return of;
        }

        @Override
        public Type getOwnerType() {
            return of.getDeclaringClass();
        }
    }

    /** An array of a type that is no class. */
    record ArrayOf(Type item) implements GenericArrayType {
        @Override
        public Type getGenericComponentType() {
            return item;
        }
    }

    static Type resolve(Type type, Map<TypeVariable<?>, Type> known) {
        return resolve(type, known, 0);
    }

    private static Type resolve(Type type, Map<TypeVariable<?>, Type> known, int depth) {
        if (depth > 20) {
            return Object.class;
        }
        if (type instanceof TypeVariable<?> variable) {
            Type found = known.get(variable);
            return found != null ? found : resolve(variable.getBounds()[0], known, depth + 1);
        }
        if (type instanceof WildcardType wildcard) {
            return wildcard.getLowerBounds().length > 0 ? resolve(wildcard.getLowerBounds()[0], known, depth + 1) : resolve(wildcard.getUpperBounds()[0], known, depth + 1);
        }
        if (type instanceof GenericArrayType array) {
            Type item = resolve(array.getGenericComponentType(), known, depth + 1);
            return item instanceof Class<?> one ? one.arrayType() : new ArrayOf(item);
        }
        if (type instanceof ParameterizedType made) {
            return new Made((Class<?>) made.getRawType(), Arrays.stream(made.getActualTypeArguments()).map(one -> resolve(one, known, depth + 1)).toList());
        }
        return type;
    }

    static Class<?> raw(Type type) {
        if (type instanceof Class<?> one) {
            return one;
        }
        if (type instanceof ParameterizedType made) {
            return (Class<?>) made.getRawType();
        }
        return type instanceof GenericArrayType array ? raw(array.getGenericComponentType()).arrayType() : Object.class;
    }

    /** The type argument at an index; Object where there is none. REQUIRES: a resolved type. */
    static Type argument(Type type, int index) {
        return type instanceof ParameterizedType made && made.getActualTypeArguments().length > index ? made.getActualTypeArguments()[index] : Object.class;
    }

    static Map<TypeVariable<?>, Type> variables(Type type) {
        Map<TypeVariable<?>, Type> out = new java.util.HashMap<>();
        if (type instanceof ParameterizedType made) {
            TypeVariable<?>[] names = raw(type).getTypeParameters();
            for (int i = 0; i < names.length; i++) {
                out.put(names[i], made.getActualTypeArguments()[i]);
            }
        }
        return out;
    }
}
