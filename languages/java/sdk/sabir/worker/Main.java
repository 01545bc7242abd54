package sabir.worker;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Path;

/** Starts a worker: {@code java -cp sdk.jar sabir.worker.Main FOLDER}, where FOLDER is what the build program made. */
public final class Main {
    private Main() {
    }

    public static void main(String[] arguments) throws IOException {
        String given = System.getenv("SABIR_FD");
        if (given == null || !given.matches("[0-9]{1,9}(,[0-9]{1,9})?") || arguments.length != 1) {
            System.err.println("sabir: the Java worker is started by the engine");
            System.exit(2);
        }
        String[] descriptors = given.split(",");
        InputStream in;
        OutputStream out;
        if (descriptors.length == 2) {
            in = new FileInputStream("/dev/fd/" + descriptors[0]);
            out = new FileOutputStream("/dev/fd/" + descriptors[1], true);
        } else {
            // A socket cannot be opened by a name: what starts this program has made it descriptor 0.
            in = new FileInputStream(FileDescriptor.in);
            out = new FileOutputStream(FileDescriptor.in);
        }
        System.setIn(InputStream.nullInputStream());
        new Worker(in, out, new Program(Path.of(arguments[0]))).run();
    }
}
