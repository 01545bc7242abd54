package sabir.worker;

import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import sabir.Context;
import sabir.internal.Json;
import sabir.internal.Reader;
import sabir.internal.Readers;
import sabir.internal.Refused;

/**
 * What the build program made: classes in units, and an index of the functions in them.
 *
 * <p>Unit 0 holds the classes of named packages; every other one the classes of one folder without a package, which see unit 0.
 *
 * <p>Threads: one, but for sourceOf().
 */
final class Program {
    /** A user's file that cannot be loaded. */
    static final class LoadFailed extends Exception {
        private static final long serialVersionUID = 1;

        LoadFailed(Throwable cause) {
            super(cause);
        }
    }

    record Parameter(String name, String type, Object fallback, boolean hasDefault, boolean optional, boolean nullable, boolean variadic, boolean context) {
    }

    /** One of a function's overloads, of which each adds parameters at the end. */
    static final class Variant {
        final List<Parameter> parameters;
        Method method;
        Reader[] readers;

        Variant(List<Parameter> parameters) {
            this.parameters = parameters;
        }
    }

    static final class Function {
        final String name;
        final String method;
        final List<Variant> variants = new ArrayList<>();
        Class<?> type;
        boolean quick;

        Function(String name, String method) {
            this.name = name;
            this.method = method;
        }
    }

    private final Map<String, Map<String, Function>> functions = new HashMap<>();
    private final Map<String, String[]> classes = new HashMap<>();
    private final Map<String, String> sources = new HashMap<>();
    private final Map<String, ClassLoader> loaders = new HashMap<>();
    private final Path folder;
    private final ClassLoader shared;

    Program(Path folder) throws IOException {
        this.folder = folder;
        Map<String, Object> index;
        try {
            index = Json.object(Json.parse(Files.readAllBytes(folder.resolve("index.json"))));
        } catch (Json.Malformed wrong) {
            throw new IOException(folder + "/index.json: " + wrong.getMessage());
        }
        List<URL> urls = new ArrayList<>();
        urls.add(unit("0"));
        for (Object jar : (List<?>) index.get("class_path")) {
            urls.add(Path.of((String) jar).toUri().toURL());
        }
        shared = new URLClassLoader("0", urls.toArray(URL[]::new), Program.class.getClassLoader());
        loaders.put("0", shared);
        for (Map.Entry<String, Object> source : Json.object(index.get("sources")).entrySet()) {
            sources.put(source.getKey(), (String) source.getValue());
        }
        for (Map.Entry<String, Object> module : Json.object(index.get("modules")).entrySet()) {
            Map<String, Object> told = Json.object(module.getValue());
            classes.put(module.getKey(), new String[] {Json.string(told, "unit"), Json.string(told, "class")});
            Map<String, Function> all = new HashMap<>();
            for (Map<String, Object> one : Json.objects(told.get("functions"))) {
                Function function = new Function(Json.string(one, "name"), Json.string(one, "method"));
                for (Object variant : (List<?>) one.get("variants")) {
                    function.variants.add(new Variant(Json.objects(variant).stream().map(Program::parameter).toList()));
                }
                all.put(function.name, function);
            }
            functions.put(module.getKey(), all);
        }
    }

    private static Parameter parameter(Map<String, Object> told) {
        return new Parameter(Json.string(told, "name"), Json.string(told, "type"), told.get("default"), told.containsKey("default"),
            told.containsKey("optional"), told.containsKey("nullable"), told.containsKey("variadic"), told.containsKey("context"));
    }

    private URL unit(String name) throws MalformedURLException {
        return folder.resolve("units").resolve(name).toUri().toURL();
    }

    /** null when there is none; its class is not loaded by asking. */
    Function find(String module, String name) {
        Map<String, Function> all = functions.get(module);
        all = all == null ? functions.get(Path.of(module).normalize().toString()) : all;
        return all == null ? null : all.get(name);
    }

    /** The source of a stack frame's class, or null. */
    String sourceOf(StackTraceElement frame) {
        String name = frame.getClassName();
        int nested = name.indexOf('$', name.lastIndexOf('.') + 2);
        return frame.getClassLoaderName() == null ? null : sources.get(frame.getClassLoaderName() + " " + (nested < 0 ? name : name.substring(0, nested)));
    }

    /** Loads a function's class, which runs its static initializers, on the first call. */
    void load(String module, Function function) throws LoadFailed {
        if (function.type != null) {
            return;
        }
        String[] place = classes.getOrDefault(module, classes.get(Path.of(module).normalize().toString()));
        try {
            ClassLoader loader = loaders.get(place[0]);
            if (loader == null) {
                loader = new URLClassLoader(place[0], new URL[] {unit(place[0])}, shared);
                loaders.put(place[0], loader);
            }
            Thread.currentThread().setContextClassLoader(loader);
            Class<?> type = Class.forName(place[1], true, loader);
            for (Variant variant : function.variants) {
                prepare(function, variant, type);
            }
            function.type = type;
        } catch (ExceptionInInitializerError thrown) {
            throw new LoadFailed(thrown.getCause() == null ? thrown : thrown.getCause());
        } catch (ClassNotFoundException | LinkageError | MalformedURLException | Refused wrong) {
            throw new LoadFailed(wrong);
        }
    }

    private static void prepare(Function function, Variant variant, Class<?> type) throws ClassNotFoundException, Refused {
        for (Method method : type.getDeclaredMethods()) {
            if (method.getName().equals(function.method) && Modifier.isStatic(method.getModifiers()) && !method.isSynthetic() && fits(method, variant.parameters)) {
                method.setAccessible(true);
                Reader[] readers = new Reader[variant.parameters.size()];
                for (int i = 0; i < readers.length; i++) {
                    readers[i] = method.getParameterTypes()[i] == Context.class ? null : Readers.of(method.getGenericParameterTypes()[i]);
                }
                variant.readers = readers;
                variant.method = method;
                return;
            }
        }
        throw new ClassNotFoundException(type.getName() + " has no such method " + function.method);
    }

    private static boolean fits(Method method, List<Parameter> parameters) {
        Class<?>[] types = method.getParameterTypes();
        if (types.length != parameters.size()) {
            return false;
        }
        for (int i = 0; i < types.length; i++) {
            if (!types[i].getSimpleName().equals(parameters.get(i).type())) {
                return false;
            }
        }
        return true;
    }
}
