package org.mmsearch.neural;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.apache.lucene.search.Query;
import org.mmsearch.neural.fields.VectorStorage;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.ParseField;
import org.opensearch.core.common.Strings;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.MediaTypeRegistry;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.search.SearchModule;
import org.opensearch.test.OpenSearchTestCase;

/** Tests the exact {@code knn} query by engine, compression and limit. A fake k-NN query records its parameters. */
public class KnnClauseTests extends OpenSearchTestCase {

    private static final VectorStorage FAISS = new VectorStorage(true, 1);
    private static final VectorStorage HALVED = new VectorStorage(true, 2);
    private static final VectorStorage ON_DISK = new VectorStorage(true, 32);
    private static final String RED = "{\"term\":{\"color\":{\"value\":\"red\",\"boost\":1.0}}}";
    private static final String ALL = "{\"match_all\":{\"boost\":1.0}}";

    private static NamedXContentRegistry registry() {
        List<NamedXContentRegistry.Entry> entries = new ArrayList<>(new SearchModule(Settings.EMPTY, List.of()).getNamedXContents());
        entries.add(new NamedXContentRegistry.Entry(QueryBuilder.class, new ParseField("knn"), WordsOfKnn::new));
        return new NamedXContentRegistry(entries);
    }

    private static String sent(VectorStorage storage, String keys) throws IOException {
        return sent(storage, false, keys);
    }

    private static String sent(VectorStorage storage, boolean nested, String keys) throws IOException {
        String json = "{\"query_text\": \"chair\"" + (keys.isEmpty() ? "" : ", " + keys) + "}";
        NamedXContentRegistry registry = registry();
        try (XContentParser parser = JsonXContent.jsonXContent.createParser(registry, null, json)) {
            NeuralBody body = NeuralBody.parser("neural").parse(parser, null).validated("neural");
            QueryBuilder made = KnnClause.of(registry, "v", storage, nested, body, new float[] { 1, 0 });
            return Strings.toString(MediaTypeRegistry.JSON, made).replaceAll("\\s", "");
        }
    }

    private static String knn(String bound, String filter) {
        return "{\"knn\":{\"v\":{\"vector\":[1.0,0.0]," + bound + "}" + (filter == null ? "" : ",\"filtered\":" + filter) + "}}";
    }

    private static String around(String knn, String filter) {
        return "{\"bool\":{\"must\":[" + knn + "],\"filter\":[" + filter + "],\"adjust_pure_negative\":true,\"boost\":1.0}}";
    }

    public void testByNumberOfNeighbours() throws IOException {
        String filter = "\"filter\": {\"term\": {\"color\": \"red\"}}";
        assertEquals(knn("\"k\":10", null), sent(VectorStorage.LUCENE, ""));
        assertEquals(knn("\"k\":3", RED), sent(VectorStorage.LUCENE, "\"k\": 3, " + filter));
        for (VectorStorage faiss : List.of(FAISS, HALVED, ON_DISK)) {
            assertEquals(knn("\"k\":10", ALL), sent(faiss, ""));
            assertEquals(knn("\"k\":3", RED), sent(faiss, "\"k\": 3, " + filter));
        }
    }

    public void testByScoreAndByDistance() throws IOException {
        String filter = ", \"filter\": {\"term\": {\"color\": \"red\"}}";
        Map<String, String> bounds = Map.of("\"min_score\": 0.5", "\"min_score\":0.5", "\"max_distance\": 2", "\"max_distance\":2.0");
        for (Map.Entry<String, String> bound : bounds.entrySet()) {
            assertEquals(knn(bound.getValue(), null), sent(VectorStorage.LUCENE, bound.getKey()));
            assertEquals(knn(bound.getValue(), RED), sent(VectorStorage.LUCENE, bound.getKey() + filter));
            for (VectorStorage faiss : List.of(FAISS, HALVED, ON_DISK)) {
                assertEquals(knn(bound.getValue(), null), sent(faiss, bound.getKey()));
                assertEquals(around(knn(bound.getValue(), null), RED), sent(faiss, bound.getKey() + filter));
                assertEquals("nested", knn(bound.getValue(), RED), sent(faiss, true, bound.getKey() + filter));
            }
        }
    }

    public void testRescore() throws IOException {
        String object = "\"rescore\": {\"oversample_factor\": 3.0}";
        for (VectorStorage storage : List.of(FAISS, HALVED, ON_DISK, new VectorStorage(true, 8))) {
            assertEquals(knn("\"k\":10,\"rescore\":{\"oversample_factor\":3.0}", ALL), sent(storage, object));
        }
        for (String word : List.of("true", "false")) {
            for (VectorStorage storage : List.of(VectorStorage.LUCENE, FAISS, HALVED, new VectorStorage(true, 4))) {
                assertTrue(sent(storage, "\"rescore\": " + word).contains("\"rescore\":" + word));
            }
            for (int compression : new int[] { 8, 16, 32 }) {
                VectorStorage storage = new VectorStorage(true, compression);
                Exception e = expectThrows(IllegalArgumentException.class, () -> sent(storage, "\"rescore\": " + word));
                assertTrue(e.getMessage(), e.getMessage().contains("compression " + compression + " to be an object"));
                assertTrue(e.getMessage(), e.getMessage().contains("got [" + word + "]"));
            }
        }
    }

    /** Records the parameters of a {@code knn} query, and those of its filter under a separate key. */
    private static final class WordsOfKnn extends AbstractQueryBuilder<WordsOfKnn> {
        private final Map<String, Object> words;
        private QueryBuilder filter;

        WordsOfKnn(XContentParser parser) throws IOException {
            this.words = parser.map();
        }

        @Override
        public QueryBuilder filter(QueryBuilder given) {
            filter = given;
            return this;
        }

        @Override
        protected void doXContent(XContentBuilder builder, Params params) throws IOException {
            builder.startObject("knn");
            for (Map.Entry<String, Object> word : words.entrySet()) {
                builder.field(word.getKey(), word.getValue());
            }
            if (filter != null) {
                builder.field("filtered", XContentHelper.convertToMap(JsonXContent.jsonXContent, Strings.toString(MediaTypeRegistry.JSON, filter), true));
            }
            builder.endObject();
        }

        @Override
        protected void doWriteTo(StreamOutput out) {
            throw new UnsupportedOperationException("it stays in its test");
        }

        @Override
        protected Query doToQuery(QueryShardContext context) {
            throw new UnsupportedOperationException("it stays in its test");
        }

        @Override
        protected boolean doEquals(WordsOfKnn other) {
            return words.equals(other.words);
        }

        @Override
        protected int doHashCode() {
            return words.hashCode();
        }

        @Override
        public String getWriteableName() {
            return "knn";
        }
    }
}
