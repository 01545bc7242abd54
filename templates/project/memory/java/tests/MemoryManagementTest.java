import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;

class MemoryManagementTest {
    @Test
    void whatWasStoredIsGivenBack() {
        Map<String, Object> result = Map.of("words", 3L, "list", Arrays.asList(1L, 2.5, null), "text", "Été");
        assertTrue(MemoryManagement.storeResult(result, "java test") >= 1);
        assertEquals(result, MemoryManagement.retrieveResult("java test"));
    }

    @Test
    void aNameWithoutAResultGivesNull() {
        assertNull(MemoryManagement.retrieveResult("nothing was stored here"));
    }
}
