package org.mmsearch.hybrid;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.mmsearch.fusion.Bound;
import org.mmsearch.fusion.Combination;
import org.mmsearch.fusion.Normalization;
import org.mmsearch.hybrid.legs.Totals;
import org.mmsearch.memory.MemoryBreaker;
import org.opensearch.common.io.stream.BytesStreamOutput;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.common.bytes.BytesArray;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.common.io.stream.NamedWriteableAwareStreamInput;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.Writeable;
import org.opensearch.search.SearchModule;
import org.opensearch.test.OpenSearchTestCase;

/**
 * Tests that serialized objects have the same bytes as in the first release, with the number of their form. During a rolling upgrade of the
 * plugin, both nodes have the same OpenSearch and stream version. So the order of a form's fields and of an enum's constants must not
 * change within one OpenSearch version.
 */
public class WireTests extends OpenSearchTestCase {

    private static final HexFormat HEX = HexFormat.of();

    private final NamedWriteableRegistry registry = new NamedWriteableRegistry(
        new SearchModule(Settings.EMPTY, List.of()).getNamedWriteables()
    );
    private final Map<String, WireSamples.Sample> samples = WireSamples.all(new HybridClause("hybrid", new MemoryBreaker()));

    private static Map<String, byte[]> golden() throws IOException {
        Map<String, byte[]> golden = new LinkedHashMap<>();
        try (InputStream in = WireTests.class.getResourceAsStream("/wire-3.5.txt")) {
            new String(in.readAllBytes(), StandardCharsets.US_ASCII).lines().forEach(line -> {
                String[] parts = line.split(" ");
                golden.put(parts[0], HEX.parseHex(parts[1]));
            });
        }
        return golden;
    }

    private static byte[] written(Writeable writeable) throws IOException {
        try (BytesStreamOutput out = new BytesStreamOutput()) {
            writeable.writeTo(out);
            return BytesReference.toBytes(out.bytes());
        }
    }

    public void testEverythingIsWrittenAsItWas() throws IOException {
        Map<String, byte[]> golden = golden();
        assertEquals(golden.keySet(), samples.keySet());
        for (Map.Entry<String, WireSamples.Sample> sample : samples.entrySet()) {
            String now = HEX.formatHex(written(sample.getValue().written()));
            assertEquals(sample.getKey() + " is " + now, HEX.formatHex(golden.get(sample.getKey())), now);
        }
    }

    /** Tests that objects of an older plugin are read completely and correctly. */
    public void testWhatWasWrittenIsRead() throws IOException {
        for (Map.Entry<String, byte[]> line : golden().entrySet()) {
            WireSamples.Sample sample = samples.get(line.getKey());
            try (StreamInput in = new NamedWriteableAwareStreamInput(new BytesArray(line.getValue()).streamInput(), registry)) {
                Writeable read = sample.reader().read(in);
                assertEquals(line.getKey(), -1, in.read());
                assertArrayEquals(line.getKey(), line.getValue(), written(read));
            }
        }
    }

    /** Tests that truncated bytes are always rejected. */
    public void testTruncatedBytesAreRejected() throws IOException {
        for (Map.Entry<String, byte[]> line : golden().entrySet()) {
            BytesReference cut = new BytesArray(line.getValue()).slice(0, line.getValue().length - 1);
            try (StreamInput in = new NamedWriteableAwareStreamInput(cut.streamInput(), registry)) {
                expectThrows(Exception.class, () -> samples.get(line.getKey()).reader().read(in));
            }
        }
    }

    /** What has ranges of scores travels with them, in a form that older nodes refuse. */
    public void testRangesOnTheWire() throws IOException {
        for (Map.Entry<String, WireSamples.Sample> sample : WireSamples.ranged(new HybridClause("hybrid", new MemoryBreaker())).entrySet()) {
            byte[] bytes = written(sample.getValue().written());
            try (StreamInput in = new NamedWriteableAwareStreamInput(new BytesArray(bytes).streamInput(), registry)) {
                Writeable read = sample.getValue().reader().read(in);
                assertEquals(sample.getKey(), -1, in.read());
                assertArrayEquals(sample.getKey(), bytes, written(read));
            }
        }
    }

    public void testTheOrderOfEnumsOnTheWire() {
        assertEquals("[WINDOW, ALL]", List.of(Totals.values()).toString());
        assertEquals("[FAIL, SKIP]", List.of(OnEncoderFailure.values()).toString());
        assertEquals("[MIN_MAX, L2, Z_SCORE, RECIPROCAL_RANK, THEORETICAL_MIN_MAX]", List.of(Normalization.values()).toString());
        assertEquals("[ARITHMETIC_MEAN, GEOMETRIC_MEAN, HARMONIC_MEAN, RRF, LEARNED]", List.of(Combination.values()).toString());
        assertEquals("[APPLY, CLIP, IGNORE]", List.of(Bound.Mode.values()).toString());
    }
}
