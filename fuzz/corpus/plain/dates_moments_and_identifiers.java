import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.util.UUID;

public class Code {
    public static LocalDate due(LocalDate from, int days) {
        return from.plusDays(days);
    }

    public static Instant later(Instant moment, Duration by) {
        return moment.plus(by);
    }

    public static int version(UUID id) {
        return id.version();
    }
}
