import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import sabir.Sabir;

class GardenerTest {
    /** The model is played by tests/scripted_replies.json; the function it calls is the real one. */
    @Test
    void asksTheFunction() {
        String said = Sabir.ask("gardener", "When can I harvest peas that I sow on 2026-04-01?").content();
        assertTrue(said.contains("2026-06-24"), said);
    }
}
