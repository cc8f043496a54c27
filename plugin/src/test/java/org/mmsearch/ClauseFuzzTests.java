package org.mmsearch;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

import org.opensearch.ExceptionsHelper;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.xcontent.DeprecationHandler;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.search.SearchModule;
import org.opensearch.test.OpenSearchTestCase;

/**
 * Fuzzes the parsers of both clauses with almost valid JSON. Each input is either rejected with a client error or parsed to a query whose
 * JSON parses to an equal query. Besides mmsearch's clauses, the examples contain only {@code match_all}. If a change turns it into
 * another query of OpenSearch, errors of that query's parser are ignored, because some parsers fail with 500 on invalid values.
 */
public class ClauseFuzzTests extends OpenSearchTestCase {

    private static final List<String> EXAMPLES = List.of(
        """
            {"neural": {"embedding": {"query_text": "a", "query_image": "R0lG", "model_id": "m", "k": 100, "query_image_weight": 0.25,
              "filter": {"match_all": {}}, "method_parameters": {"ef_search": 100}, "rescore": {"oversample_factor": 3.0},
              "expand_nested_docs": true, "boost": 1.5, "_name": "dense"}}}""",
        """
            {"neural": {"v": {"query_text": "a", "min_score": 0.5, "rescore": false, "negative_text": {"text": "green", "weight": 0.75},
              "like": {"_id": "p1", "_index": "products", "routing": "r", "weight": 2.0}}}}""",
        """
            {"neural": {"v": {"query_text": "a", "max_distance": 2.5, "negative_text": "green", "like": "p1"}}}""",
        """
            {"hybrid": {"queries": [{"match_all": {}}, {"neural": {"v": {"query_text": "a"}}}], "filter": {"match_all": {"boost": 2.0}},
              "pagination_depth": 7, "on_encoder_failure": "skip", "evidence": false, "totals": "all", "boost": 2, "_name": "h",
              "fusion": {"combination": {"technique": "rrf", "rank_constant": 3, "parameters": {"weights": [0.5, 0.5]}},
              "window_size": 20}}}""",
        """
            {"hybrid": {"queries": [{"match_all": {"_name": "a"}}], "cutoff": {"gap": 0.5, "min_score": 0.1}, "fusion": {"normalization":
              {"technique": "min_max", "parameters": {"lower_bounds": [{"mode": "clip", "min_score": 0.1}],
              "upper_bounds": [{"mode": "apply", "max_score": 1.0}]}}, "combination": {"technique": "geometric_mean"}}}}""",
        """
            {"hybrid": {"queries": [{"hybrid": {"queries": [{"match_all": {}}]}}], "fusion": {"normalization": {"technique": "z_score"}}}}"""
    );

    private final NamedXContentRegistry registry = new NamedXContentRegistry(
        new SearchModule(Settings.EMPTY, List.of(new MmsearchPlugin(Settings.EMPTY, createTempDir()))).getNamedXContents()
    );

    public void testRandomJson() throws IOException {
        List<Map<String, Object>> trees = EXAMPLES.stream()
            .map(example -> XContentHelper.convertToMap(XContentType.JSON.xContent(), example, true))
            .toList();
        RandomJson draw = new RandomJson(random(), trees);
        Fuzzing fuzzing = new Fuzzing(5_000);
        while (fuzzing.goesOn()) {
            String json = json(draw.next());
            if (parsed(randomInt(4) == 0 ? draw.spoilt(json) : json)) {
                fuzzing.taken();
            }
        }
        logger.info(fuzzing.counts());
    }

    /** Returns whether the input is parsed. */
    private boolean parsed(String json) throws IOException {
        QueryBuilder query;
        try {
            query = parse(json);
        } catch (Exception e) {
            if (ofTheEngine(e)) {
                return false;
            }
            assertEquals(json + " ended in " + e, RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
            return false;
        }
        if (query != null) {
            assertEquals(json, query, parse(query.toString()));
        }
        return query != null;
    }

    /** Returns whether the exception was thrown by the parser of an OpenSearch query, not by one of mmsearch's. */
    private static boolean ofTheEngine(Exception e) {
        return Arrays.stream(e.getStackTrace())
            .map(StackTraceElement::getClassName)
            .filter(name -> name.startsWith("org.mmsearch.") || name.startsWith("org.opensearch.index.query."))
            .findFirst()
            .map(name -> name.startsWith("org.opensearch.") && name.equals(AbstractQueryBuilder.class.getName()) == false)
            .orElse(false);
    }

    private QueryBuilder parse(String json) throws IOException {
        DeprecationHandler deprecated = DeprecationHandler.IGNORE_DEPRECATIONS;
        try (XContentParser parser = XContentType.JSON.xContent().createParser(registry, deprecated, json)) {
            return AbstractQueryBuilder.parseInnerQueryBuilder(parser);
        }
    }

    private static String json(Map<String, Object> tree) throws IOException {
        try (XContentBuilder builder = XContentBuilder.builder(XContentType.JSON.xContent())) {
            return BytesReference.bytes(builder.map(tree)).utf8ToString();
        }
    }
}
