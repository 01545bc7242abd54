package sabir.tools;

import com.sun.source.tree.BinaryTree;
import com.sun.source.tree.ClassTree;
import com.sun.source.tree.ExpressionTree;
import com.sun.source.tree.IdentifierTree;
import com.sun.source.tree.LiteralTree;
import com.sun.source.tree.MethodInvocationTree;
import com.sun.source.tree.NewArrayTree;
import com.sun.source.tree.ParenthesizedTree;
import com.sun.source.tree.Tree;
import com.sun.source.tree.UnaryTree;
import com.sun.source.tree.VariableTree;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.lang.model.element.Modifier;

/** The static final fields of a class that are made of literals: assistants are declared by them. */
final class Constants {
    private static final Object UNKNOWN = new Object();

    private Constants() {
    }

    static Map<String, Object> of(ClassTree type) {
        Map<String, Object> out = new LinkedHashMap<>();
        for (Tree member : type.getMembers()) {
            if (member instanceof VariableTree field && field.getInitializer() != null
                && field.getModifiers().getFlags().containsAll(Set.of(Modifier.STATIC, Modifier.FINAL))) {
                Object value = value(field.getInitializer(), out);
                if (value != UNKNOWN) {
                    out.put(field.getName().toString(), value);
                }
            }
        }
        return out;
    }

    private static Object value(ExpressionTree tree, Map<String, Object> known) {
        if (tree instanceof LiteralTree literal) {
            Object value = literal.getValue();
            return value instanceof Character ? value.toString() : value instanceof Integer number ? (Object) number.longValue() : value;
        }
        if (tree instanceof ParenthesizedTree inner) {
            return value(inner.getExpression(), known);
        }
        if (tree instanceof IdentifierTree name) {
            return known.getOrDefault(name.getName().toString(), UNKNOWN);
        }
        if (tree instanceof UnaryTree unary && unary.getKind() == Tree.Kind.UNARY_MINUS) {
            Object value = value(unary.getExpression(), known);
            return value instanceof Long whole ? (Object) (-whole) : value instanceof Double real ? (Object) (-real) : UNKNOWN;
        }
        if (tree instanceof BinaryTree binary && binary.getKind() == Tree.Kind.PLUS) {
            Object left = value(binary.getLeftOperand(), known);
            Object right = value(binary.getRightOperand(), known);
            return left instanceof String || right instanceof String ? left == UNKNOWN || right == UNKNOWN ? UNKNOWN : String.valueOf(left) + right : UNKNOWN;
        }
        if (tree instanceof NewArrayTree array && array.getInitializers() != null) {
            return list(array.getInitializers(), known);
        }
        if (tree instanceof MethodInvocationTree call) {
            switch (call.getMethodSelect().toString()) {
                case "List.of", "Arrays.asList", "java.util.List.of":
                    return list(call.getArguments(), known);
                case "Map.of", "java.util.Map.of":
                    return map(call.getArguments(), known);
                default:
                    return UNKNOWN;
            }
        }
        return UNKNOWN;
    }

    private static Object list(List<? extends ExpressionTree> trees, Map<String, Object> known) {
        List<Object> out = new ArrayList<>();
        for (ExpressionTree tree : trees) {
            Object value = value(tree, known);
            if (value == UNKNOWN) {
                return UNKNOWN;
            }
            out.add(value);
        }
        return out;
    }

    private static Object map(List<? extends ExpressionTree> trees, Map<String, Object> known) {
        Map<String, Object> out = new LinkedHashMap<>();
        for (int i = 0; i + 1 < trees.size(); i += 2) {
            Object name = value(trees.get(i), known);
            Object value = value(trees.get(i + 1), known);
            if (!(name instanceof String) || value == UNKNOWN) {
                return UNKNOWN;
            }
            out.put((String) name, value);
        }
        return out;
    }
}
