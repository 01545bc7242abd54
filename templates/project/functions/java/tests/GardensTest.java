import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.LocalDate;
import java.util.List;
import org.junit.jupiter.api.Test;
import sabir.Sabir;
import sabir.TypeRef;

class GardensTest {
    private static final List<Gardens.Bed> BEDS = List.of(new Gardens.Bed("peas", LocalDate.of(2026, 4, 1), 12), new Gardens.Bed("beans", LocalDate.of(2026, 5, 6), 7),
        new Gardens.Bed("kale", LocalDate.of(2026, 6, 3), 14));

    private static List<Gardens.Harvest> expected() {
        return List.of(new Gardens.Harvest(LocalDate.of(2026, 6, 24), List.of("beans", "peas")), new Gardens.Harvest(LocalDate.of(2026, 9, 9), List.of("kale")));
    }

    @Test
    void tellsTheDaysInOrder() {
        assertEquals(expected(), Gardens.harvests(BEDS, 0));
    }

    @Test
    void aBedNeedsAWeek() {
        assertThrows(IllegalArgumentException.class, () -> new Gardens.Bed("cress", LocalDate.of(2026, 4, 1), 0));
    }

    @Test
    void answersTheSameThroughTheEngine() {
        assertEquals(expected(), Sabir.call(new TypeRef<List<Gardens.Harvest>>() { }, "gardens.harvests", Sabir.args("beds", BEDS)));
    }
}
