package org.mmsearch.fusion;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.apache.lucene.analysis.core.WhitespaceAnalyzer;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.store.Directory;
import org.mmsearch.hybrid.bounds.QueryRanges;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.test.OpenSearchTestCase;

/** Fusions and bounds of a file that {@code tests/unit/test_evaluate_ranges.py} reads too, so that both compute the same. */
@SuppressWarnings("unchecked")
public class FusionGoldenTests extends OpenSearchTestCase {

    private static Map<String, Object> golden() throws IOException {
        try (InputStream in = FusionGoldenTests.class.getResourceAsStream("/fusion-golden.json")) {
            return XContentHelper.convertToMap(XContentType.JSON.xContent(), in, true);
        }
    }

    private static float number(Object value) {
        return ((Number) value).floatValue();
    }

    private static Ranking ranking(Map<String, Object> leg) {
        List<Object> keys = (List<Object>) leg.get("keys");
        List<Object> scores = (List<Object>) leg.get("scores");
        List<List<Object>> ranges = (List<List<Object>>) leg.get("ranges");
        float[] raw = new float[scores.size()];
        ScoreRange[] each = ranges == null ? null : new ScoreRange[raw.length];
        for (int i = 0; i < raw.length; i++) {
            raw[i] = number(scores.get(i));
            if (each != null) {
                each[i] = new ScoreRange(number(ranges.get(i).get(0)), number(ranges.get(i).get(1)));
            }
        }
        return new Ranking(keys.stream().mapToLong(key -> ((Number) key).longValue()).toArray(), raw, each);
    }

    public void testFusions() throws IOException {
        List<Map<String, Object>> cases = (List<Map<String, Object>>) golden().get("fusions");
        assertEquals(30, cases.size());
        for (Map<String, Object> each : cases) {
            String name = (String) each.get("name");
            List<Ranking> legs = ((List<Map<String, Object>>) each.get("legs")).stream().map(FusionGoldenTests::ranking).toList();
            List<FusedHit> hits = FusionParser.parse((Map<String, Object>) each.get("fusion")).window(100).fuse(legs);
            List<List<Object>> expected = (List<List<Object>>) each.get("expected");
            assertEquals(name, expected.size(), hits.size());
            for (int i = 0; i < hits.size(); i++) {
                FusedHit hit = hits.get(i);
                assertEquals(name, ((Number) expected.get(i).get(0)).longValue(), hit.key());
                assertEquals(name, number(expected.get(i).get(1)), hit.score(), 2e-6 * hit.score());
                List<Object> normalized = (List<Object>) expected.get(i).get(2);
                for (int leg = 0; leg < legs.size(); leg++) {
                    assertEquals(name, normalized.get(leg) == null, hit.legs()[leg] == null);
                    if (normalized.get(leg) != null) {
                        assertEquals(name, number(normalized.get(leg)), hit.legs()[leg].normalized(), 1e-6);
                    }
                }
            }
        }
    }

    public void testBoundsOfTerms() throws IOException {
        for (Map<String, Object> each : (List<Map<String, Object>>) golden().get("terms")) {
            List<Document> documents = new ArrayList<>();
            for (int i = 0; i < number(each.get("documents")); i++) {
                Document document = new Document();
                document.add(new TextField("title", i < number(each.get("containing")) ? "red thing" : "thing", Field.Store.NO));
                documents.add(document);
            }
            try (Directory directory = newDirectory()) {
                try (IndexWriter writer = new IndexWriter(directory, new IndexWriterConfig(new WhitespaceAnalyzer()))) {
                    writer.addDocuments(documents);
                }
                try (DirectoryReader reader = DirectoryReader.open(directory)) {
                    BoostQuery red = new BoostQuery(new TermQuery(new Term("title", "red")), number(each.get("boost")));
                    float bound = number(each.get("bound"));
                    assertEquals(each.toString(), bound, QueryRanges.of(new IndexSearcher(reader), red).range().high(), 1e-5 * bound);
                }
            }
        }
    }
}
