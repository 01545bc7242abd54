import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;

/** Plans for a kitchen garden. */
public class Gardens {
    /**
     * A bed of one vegetable.
     *
     * @param vegetable what grows there
     * @param sown the day of sowing
     * @param weeks how long it grows
     */
    public record Bed(String vegetable, LocalDate sown, int weeks) {
        public Bed {
            if (weeks < 1) {
                throw new IllegalArgumentException(vegetable + " needs at least one week, not " + weeks);
            }
        }
    }

    /** A day's harvest. */
    public record Harvest(LocalDate day, List<String> vegetables) {
    }

    /**
     * Tells on which days there is something to harvest.
     *
     * @param beds what is sown
     * @param spareWeeks how many weeks later than planned, for cold years (default 0)
     * @effect read
     */
    public static List<Harvest> harvests(List<Bed> beds, int spareWeeks) {
        List<Harvest> out = new ArrayList<>();
        beds.stream().map(bed -> ripe(bed, spareWeeks)).distinct().sorted().forEach(day -> {
            out.add(new Harvest(day, beds.stream().filter(bed -> ripe(bed, spareWeeks).equals(day)).map(Bed::vegetable).sorted().toList()));
        });
        return out;
    }

    private static LocalDate ripe(Bed bed, int spareWeeks) {
        return bed.sown().plusWeeks(bed.weeks() + spareWeeks);
    }
}
