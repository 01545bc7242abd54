package sabir;

import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;

/** A type with its arguments: {@code new TypeRef<List<Order>>() {}}. */
public abstract class TypeRef<T> {
    private final Type type;

    protected TypeRef() {
        if (!(getClass().getGenericSuperclass() instanceof ParameterizedType made)) {
            throw new IllegalStateException("write new TypeRef<List<Order>>() {}, with its type");
        }
        type = made.getActualTypeArguments()[0];
    }

    public final Type type() {
        return type;
    }
}
