package sabir.tools;

import com.sun.source.doctree.BlockTagTree;
import com.sun.source.doctree.DeprecatedTree;
import com.sun.source.doctree.DocCommentTree;
import com.sun.source.doctree.DocTree;
import com.sun.source.doctree.EntityTree;
import com.sun.source.doctree.LinkTree;
import com.sun.source.doctree.LiteralTree;
import com.sun.source.doctree.ParamTree;
import com.sun.source.doctree.ReturnTree;
import com.sun.source.doctree.StartElementTree;
import com.sun.source.doctree.TextTree;
import com.sun.source.doctree.UnknownBlockTagTree;
import com.sun.source.util.TreePath;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What a Javadoc comment says, as plain text. */
final class Docs {
    private static final Set<String> TAGS = Set.of("effect", "timeout", "secret", "secrets", "idempotent", "concurrency", "retries");
    private static final Map<String, String> ENTITIES = Map.of("lt", "<", "gt", ">", "amp", "&", "quot", "\"", "apos", "'", "nbsp", " ", "mdash", "—", "ndash", "–", "hellip", "…");

    /** The text with the engine's own tags, without what is in the others. */
    final String text;
    final Map<String, String> parameters = new HashMap<>();
    String returns = "";
    boolean hidden;

    private Docs(DocCommentTree tree) {
        StringBuilder all = new StringBuilder();
        if (tree != null) {
            all.append(plain(tree.getFullBody()));
            for (DocTree tag : tree.getBlockTags()) {
                block((BlockTagTree) tag, all);
            }
        }
        text = all.toString().replaceAll("\n{3,}", "\n\n").trim();
    }

    private void block(BlockTagTree tag, StringBuilder all) {
        if (tag instanceof ParamTree param) {
            if (!param.isTypeParameter()) {
                parameters.put(param.getName().getName().toString(), oneLine(plain(param.getDescription())));
            }
        } else if (tag instanceof ReturnTree result) {
            returns = oneLine(plain(result.getDescription()));
        } else if (tag instanceof DeprecatedTree deprecated) {
            all.append("\n\nDeprecated. ").append(oneLine(plain(deprecated.getBody())));
        } else if (tag.getKind() == DocTree.Kind.HIDDEN) {
            hidden = true;
        } else if (tag instanceof UnknownBlockTagTree unknown) {
            String name = unknown.getTagName();
            if (TAGS.contains(name)) {
                all.append(all.toString().endsWith("\n") ? "" : "\n\n").append(Character.toUpperCase(name.charAt(0))).append(name.substring(1)).append(": ")
                    .append(oneLine(plain(unknown.getContent()))).append('\n');
            }
        }
    }

    static Docs of(Source source, TreePath path) {
        return new Docs(path == null ? null : source.trees.getDocCommentTree(path));
    }

    static String oneLine(String text) {
        return text.replaceAll("\\s+", " ").trim();
    }

    String firstParagraph() {
        int end = text.indexOf("\n\n");
        return oneLine(end < 0 ? text : text.substring(0, end));
    }

    private static String plain(List<? extends DocTree> parts) {
        StringBuilder out = new StringBuilder();
        for (DocTree part : parts) {
            if (part instanceof TextTree text) {
                out.append(text.getBody());
            } else if (part instanceof LiteralTree literal) {
                out.append(literal.getBody().getBody().strip());
            } else if (part instanceof LinkTree link) {
                String label = plain(link.getLabel());
                out.append(label.isEmpty() ? link.getReference().getSignature().replaceFirst("^#", "") : label);
            } else if (part instanceof EntityTree entity) {
                out.append(ENTITIES.getOrDefault(entity.getName().toString(), entity.toString()));
            } else if (part instanceof StartElementTree element) {
                switch (element.getName().toString().toLowerCase(java.util.Locale.ROOT)) {
                    case "p", "ul", "ol", "pre", "table", "h1", "h2", "h3" -> out.append("\n\n");
                    case "br", "tr" -> out.append('\n');
                    case "li" -> out.append("\n- ");
                    default -> {
                        // Emphasis and the like say nothing in plain text.
                    }
                }
            } else if (part.getKind() != DocTree.Kind.END_ELEMENT && part.getKind() != DocTree.Kind.COMMENT) {
                out.append(part);
            }
        }
        StringBuilder lines = new StringBuilder();
        for (String line : out.toString().split("\n", -1)) {
            lines.append(line.strip()).append('\n');
        }
        return lines.toString().strip();
    }
}
