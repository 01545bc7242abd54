package sabir.tools;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import sabir.internal.Json;

/** The build program (spec/build.md): a folder of classes, an index of the functions in them, and a script that starts the worker. */
final class Build {
    private record Asked(String path, Path absolute) {
    }

    private final Path root;
    private final Path program;
    private final Path sdk;
    private final List<Asked> files = new ArrayList<>();

    Build(Map<String, Object> asked) {
        root = Path.of(Json.string(asked, "project"));
        program = Path.of(Json.string(asked, "program"));
        sdk = Path.of(Json.string(asked, "sdk"));
        for (Map<String, Object> file : Json.objects(asked.get("files"))) {
            files.add(new Asked(Json.string(file, "path"), Path.of(Json.string(file, "absolute"))));
        }
    }

    Map<String, Object> answer() throws IOException {
        Sdk built = Sdk.of(sdk);
        List<Path> jars = Compile.jarsOf(root);
        List<Path> seen = new ArrayList<>(jars);
        seen.add(built.jar());
        Compile compile = new Compile(root, program.resolve("units"), seen);

        List<Source> sources = Compile.read(files.stream().map(Asked::absolute).toList());
        sources.addAll(Compile.read(World.filesBelow(root.resolve("src/main/java"))));
        World world = new World(root);
        sources.forEach(world::add);
        Map<Path, Describe> told = new LinkedHashMap<>();
        List<Source> good = new ArrayList<>();
        for (Source source : sources) {
            Describe describe = new Describe(source, world);
            told.put(source.path, describe);
            if (source.isTest() || source.stem().equals("module-info")) {
                continue;
            }
            if (describe.problem != null) {
                compile.leaveOut(source, describe.problem, source.path, "");
            } else {
                good.add(source);
            }
        }
        Map<Path, String> units = Compile.units(good);
        compile.unit("0", "0", good.stream().filter(source -> !source.packageName.isEmpty()).collect(Collectors.toList()), List.of());
        for (Map.Entry<Path, String> unit : units.entrySet()) {
            List<Source> own = good.stream().filter(source -> source.packageName.isEmpty() && source.path.getParent().equals(unit.getKey())).collect(Collectors.toList());
            compile.unit(unit.getValue(), unit.getValue(), own, List.of(program.resolve("units/0")));
        }
        write("index.json", Json.write(index(compile, told, jars)));
        Files.copy(built.jar(), program.resolve("sdk.jar"), StandardCopyOption.REPLACE_EXISTING);
        write("worker", script(built));
        Files.setPosixFilePermissions(program.resolve("worker"), PosixFilePermissions.fromString("rwxr-xr-x"));
        built.makeArchives(program);

        Map<String, Object> out = new LinkedHashMap<>();
        out.put("version", 1);
        out.put("broken", broken(compile));
        List<Object> depends = new ArrayList<>(List.of("pom.xml", "lib", "functions/java/lib", "src/main/java", Maven.FOLDER));
        out.put("depends", depends);
        return out;
    }

    private void write(String name, String text) throws IOException {
        Files.writeString(program.resolve(name), text);
    }

    private List<Object> broken(Compile compile) {
        List<Object> out = new ArrayList<>();
        for (Asked file : files) {
            Compile.Broken one = compile.broken.get(file.absolute);
            if (one != null) {
                Map<String, Object> entry = new LinkedHashMap<>();
                entry.put("path", file.path);
                entry.put("message", one.problem().message());
                entry.put("file", one.where().toString());
                entry.put("line", one.problem().line());
                entry.put("column", one.problem().column());
                entry.put("detail", one.detail());
                out.add(entry);
            }
        }
        return out;
    }

    private Map<String, Object> index(Compile compile, Map<Path, Describe> told, List<Path> jars) {
        Map<String, Object> modules = new LinkedHashMap<>();
        Map<String, Object> places = new LinkedHashMap<>();
        compile.compiled.forEach((unit, sources) -> {
            for (Source source : sources) {
                String prefix = source.packageName.isEmpty() ? "" : source.packageName + ".";
                source.types.keySet().forEach(type -> places.put(unit + " " + prefix + type, source.path.toString()));
                Describe describe = told.get(source.path);
                if (source.mainClass() == null) {
                    continue;
                }
                List<Object> functions = new ArrayList<>();
                for (Describe.Function function : describe.functions) {
                    Map<String, Object> one = new LinkedHashMap<>();
                    one.put("name", function.name);
                    one.put("method", function.name);
                    one.put("variants", function.variants.stream().map(variant -> variant.stream().map(Describe.Parameter::index).toList()).toList());
                    functions.add(one);
                }
                Map<String, Object> module = new LinkedHashMap<>();
                module.put("unit", unit);
                module.put("class", prefix + source.mainClass().getSimpleName());
                module.put("functions", functions);
                modules.put(source.path.toString(), module);
            }
        });
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("class_path", jars.stream().map(Path::toString).toList());
        out.put("sources", places);
        out.put("modules", modules);
        return out;
    }

    static String quoted(Object word) {
        return "'" + word.toString().replace("'", "'\\''") + "'";
    }

    private static String script(Sdk built) {
        return String.join("\n",
            "#!/bin/sh",
            "# Starts the worker of this build. Java reads further options from JDK_JAVA_OPTIONS.",
            "here=${0%/*}",
            "jar=" + quoted(built.jar()),
            "[ -r \"$jar\" ] || jar=$here/sdk.jar",
            "[ -n \"${LC_ALL-}${LC_CTYPE-}${LANG-}\" ] || export LC_CTYPE=C.UTF-8",
            "set -- " + quoted(Sdk.java()) + " " + Sdk.FLAGS.stream().map(Build::quoted).collect(Collectors.joining(" ")) + " ${SABIR_JAVA_DEBUG-} "
                + "-XX:SharedArchiveFile=" + quoted(built.archive()) + " -cp \"$jar\" sabir.worker.Main \"$here\"",
            "case ${SABIR_FD-} in",
            "  *,*) exec \"$@\" ;;",
            "  *) exec \"$@\" <&\"$SABIR_FD\" ;;  # a socket, which Java cannot open by a name",
            "esac",
            "").toString();
    }

    static byte[] frame(String json) {
        byte[] text = json.getBytes(StandardCharsets.UTF_8);
        return (text.length + "\n" + json).getBytes(StandardCharsets.UTF_8);
    }
}
