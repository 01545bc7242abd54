package sabir.junit;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestSource;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs test classes by JUnit's launcher and writes JUnit XML with the user's own lines. Compiled for the JUnit that is there.
 *
 * <p>Its first argument is a file of lines: {@code unit N folder…}, {@code class N name file}, {@code method class name line} and
 * {@code broken file line message detail}, with tabs between the words.
 */
public final class Runner implements TestExecutionListener {
    private final Map<String, String> files = new HashMap<>();
    private final Map<String, Integer> lines = new HashMap<>();
    private final Map<String, Long> began = new HashMap<>();
    private final StringBuilder cases = new StringBuilder();
    private boolean failed;

    public static void main(String[] arguments) throws Exception {
        Runner runner = new Runner();
        runner.run(Files.readAllLines(Path.of(arguments[0])));
        Files.writeString(Path.of(arguments[1]), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"java\">\n" + runner.cases + "</testsuite>\n</testsuites>\n");
        System.exit(runner.failed ? 1 : 0);
    }

    private void run(List<String> spec) throws IOException {
        Map<String, List<String>> classes = new LinkedHashMap<>();
        Map<String, ClassLoader> loaders = new HashMap<>();
        for (String line : spec) {
            String[] words = line.split("\t", -1);
            switch (words[0]) {
                case "unit" -> {
                    List<URL> urls = new ArrayList<>();
                    for (int i = 2; i < words.length; i++) {
                        urls.add(Path.of(words[i]).toUri().toURL());
                    }
                    loaders.put(words[1], urls.isEmpty() ? Runner.class.getClassLoader() : new URLClassLoader(urls.toArray(URL[]::new), Runner.class.getClassLoader()));
                }
                case "class" -> {
                    classes.computeIfAbsent(words[1], any -> new ArrayList<>()).add(words[2]);
                    files.put(words[2], words[3]);
                }
                case "method" -> lines.putIfAbsent(words[1] + "." + words[2], Integer.parseInt(words[3]));
                case "broken" -> {
                    String name = Path.of(words[1]).getFileName().toString().replaceAll("\\.java$", "");
                    write(name, name, 0, words[1], Integer.parseInt(words[2]), "error", words[3], words[4].replace('\u0001', '\n'));
                }
                default -> throw new IOException("an unknown line: " + line);
            }
        }
        Launcher launcher = LauncherFactory.create();
        for (Map.Entry<String, List<String>> unit : classes.entrySet()) {
            ClassLoader loader = loaders.get(unit.getKey());
            Thread.currentThread().setContextClassLoader(loader);
            LauncherDiscoveryRequestBuilder request = LauncherDiscoveryRequestBuilder.request();
            for (String name : unit.getValue()) {
                try {
                    request.selectors(DiscoverySelectors.selectClass(Class.forName(name, false, loader)));
                } catch (ClassNotFoundException | LinkageError wrong) {
                    write(name, name, 0, files.get(name), 0, "error", wrong.toString(), wrong.toString());
                }
            }
            launcher.execute(request.build(), this);
        }
    }

    @Override
    public void executionStarted(TestIdentifier test) {
        began.put(test.getUniqueId(), System.nanoTime());
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
        told(test, 0, "skipped", reason == null ? "" : reason, null);
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        double seconds = (System.nanoTime() - began.getOrDefault(test.getUniqueId(), System.nanoTime())) / 1e9;
        Throwable thrown = result.getThrowable().orElse(null);
        switch (result.getStatus()) {
            case SUCCESSFUL -> {
                if (test.isTest()) {
                    told(test, seconds, null, "", null);
                }
            }
            case ABORTED -> told(test, seconds, "skipped", thrown == null || thrown.getMessage() == null ? "" : thrown.getMessage(), null);
            default -> {
                String message = thrown == null ? "it failed and said nothing" : thrown.getMessage() == null || thrown.getMessage().isBlank() ? thrown.toString()
                    : thrown instanceof AssertionError ? thrown.getMessage() : thrown.getClass().getSimpleName() + ": " + thrown.getMessage();
                told(test, seconds, thrown instanceof AssertionError ? "failure" : "error", message, thrown);
            }
        }
    }

    private void told(TestIdentifier test, double seconds, String outcome, String message, Throwable thrown) {
        TestSource source = test.getSource().orElse(null);
        String type = source instanceof MethodSource method ? method.getClassName() : source instanceof ClassSource one ? one.getClassName() : "";
        String name = source instanceof MethodSource method ? method.getMethodName() : test.getDisplayName();
        String shown = test.getDisplayName();
        boolean plain = shown.equals(name) || shown.startsWith(name + "(");
        int line = source instanceof MethodSource method ? lines.getOrDefault(type + "." + method.getMethodName(), 0) : 0;
        String outer = type.contains("$") ? type.substring(0, type.indexOf('$')) : type;
        String text = "";
        if (thrown != null) {
            StringWriter trace = new StringWriter();
            thrown.printStackTrace(new PrintWriter(trace));
            text = own(trace.toString());
            for (StackTraceElement frame : thrown.getStackTrace()) {
                if (frame.getClassName().equals(type) || frame.getClassName().startsWith(outer + "$") || frame.getClassName().equals(outer)) {
                    line = frame.getLineNumber() > 0 ? frame.getLineNumber() : line;
                    break;
                }
            }
        }
        write(plain ? name : name.equals(shown) ? name : name + " " + shown, type, seconds, files.getOrDefault(outer, ""), line, outcome, message, text);
    }

    /** A trace without the frames of JUnit and of what calls by reflection. */
    private static String own(String trace) {
        StringBuilder out = new StringBuilder();
        for (String line : trace.split("\n")) {
            if (!line.matches("\\s+at (org\\.junit\\.|java\\.base/(jdk\\.internal|java\\.lang)\\.reflect\\.|java\\.base/java\\.util\\.|sabir\\.junit\\.).*|\\s+\\.\\.\\. \\d+ more")) {
                out.append(line).append('\n');
            }
        }
        return out.toString();
    }

    private void write(String name, String type, double seconds, String file, int line, String outcome, String message, String text) {
        failed |= outcome != null && !outcome.equals("skipped");
        cases.append("<testcase name=\"").append(escaped(name)).append("\" classname=\"").append(escaped(type)).append("\" time=\"")
            .append(String.format(java.util.Locale.ROOT, "%.3f", seconds)).append('"');
        if (!file.isEmpty()) {
            cases.append(" file=\"").append(escaped(file)).append('"');
        }
        if (line > 0) {
            cases.append(" line=\"").append(line).append('"');
        }
        if (outcome == null) {
            cases.append("/>\n");
        } else {
            cases.append("><").append(outcome).append(" message=\"").append(escaped(message)).append("\">").append(escaped(text)).append("</").append(outcome).append("></testcase>\n");
        }
    }

    private static String escaped(String text) {
        StringBuilder out = new StringBuilder();
        text.codePoints().forEach(c -> {
            switch (c) {
                case '&' -> out.append("&amp;");
                case '<' -> out.append("&lt;");
                case '>' -> out.append("&gt;");
                case '"' -> out.append("&quot;");
                case '\n' -> out.append("&#10;");
                default -> out.appendCodePoint((c < ' ' && c != '\t') || (c >= 0xD800 && c < 0xE000) || c == 0xFFFE || c == 0xFFFF ? '?' : c);
            }
        });
        return out.toString();
    }
}
