package org.mmsearch.neural;

import java.io.IOException;
import java.util.HexFormat;
import java.util.List;

import org.mmsearch.WireForm;
import org.opensearch.common.io.stream.BytesStreamOutput;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.common.bytes.BytesArray;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.common.io.stream.NamedWriteableAwareStreamInput;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.xcontent.DeprecationHandler;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.MatchAllQueryBuilder;
import org.opensearch.search.SearchModule;
import org.opensearch.test.OpenSearchTestCase;

/** Tests that the serialized neural clause has the same bytes as in the first release; {@code hybrid.WireTests} gives the reason. */
public class NeuralWireTests extends OpenSearchTestCase {

    private static final String BODY = """
        {"query_text": "chair", "query_image": "QUI=", "query_image_weight": 0.25, "negative_text": {"text": "red", "weight": 0.5},
         "like": {"_id": "p1", "_index": "i", "routing": "r", "weight": 2}, "model_id": "m:3", "k": 7, "min_score": 0.5,
         "max_distance": 0.125, "method_parameters": {"ef_search": 9}, "rescore": true, "expand_nested_docs": true,
         "cutoff": {"relative_max": 0.5, "gap": 0.25, "min_score": 0.125}}""";
    private static final String GOLDEN =
        "0105636861697201045155493d013e80000001037265643f000000010270310101690101724000000001036d3a330100000007013f0000"
        + "00013e00000001096d617463685f616c6c3f800000000109010965665f7365617263680100000009050101013f000000013e800000013e"
        + "000000";

    static NeuralBody body() throws IOException {
        return parsed(BODY);
    }

    private static NeuralBody parsed(String body) throws IOException {
        try (
            XContentParser parser = XContentType.JSON.xContent()
                .createParser(NamedXContentRegistry.EMPTY, DeprecationHandler.THROW_UNSUPPORTED_OPERATION, body)
        ) {
            return NeuralBody.parser("neural").parse(parser, null).withFilter(new MatchAllQueryBuilder());
        }
    }

    static String written(NeuralBody body) throws IOException {
        try (BytesStreamOutput out = new BytesStreamOutput()) {
            body.writeTo(out);
            return HexFormat.of().formatHex(BytesReference.toBytes(out.bytes()));
        }
    }

    public void testItIsWrittenAsItWas() throws IOException {
        assertEquals(GOLDEN, written(body()));
    }

    public void testWhatWasWrittenIsRead() throws IOException {
        NamedWriteableRegistry registry = new NamedWriteableRegistry(new SearchModule(Settings.EMPTY, List.of()).getNamedWriteables());
        BytesArray bytes = new BytesArray(HexFormat.of().parseHex(GOLDEN));
        try (StreamInput in = new NamedWriteableAwareStreamInput(bytes.streamInput(), registry)) {
            NeuralBody read = new NeuralBody(in, WireForm.FIRST);
            assertEquals(-1, in.read());
            assertEquals(body(), read);
            assertEquals(GOLDEN, written(read));
        }
    }

    /** A node with an earlier mmsearch reads the first form, so only a body that says the weight is written in the second. */
    public void testTheWeightOfTextToImageIsInTheSecondForm() throws IOException {
        assertEquals(WireForm.FIRST, body().form());
        NeuralBody weighed = parsed(BODY.replace("\"k\": 7", "\"k\": 7, \"text_to_image\": 0.25"));
        assertEquals(2, weighed.form());
        assertEquals("013e800000" + GOLDEN, written(weighed));
        NamedWriteableRegistry registry = new NamedWriteableRegistry(new SearchModule(Settings.EMPTY, List.of()).getNamedWriteables());
        BytesArray bytes = new BytesArray(HexFormat.of().parseHex("013e800000" + GOLDEN));
        try (StreamInput in = new NamedWriteableAwareStreamInput(bytes.streamInput(), registry)) {
            assertEquals(weighed, new NeuralBody(in, 2));
        }
    }
}
