package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

import org.mmsearch.fusion.Cutoff;
import org.mmsearch.fusion.Fusion;
import org.mmsearch.fusion.FusionParser;
import org.mmsearch.hybrid.legs.Totals;
import org.opensearch.core.ParseField;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.QueryBuilder;

/** Reads the clause's JSON. */
final class HybridParser {

    private static final ParseField QUERIES = new ParseField("queries");

    private final HybridClause clause;
    private final XContentParser parser;
    private final List<QueryBuilder> queries = new ArrayList<>();
    private QueryBuilder filter;
    private Fusion fusion;
    private Integer paginationDepth;
    private Cutoff cutoff = Cutoff.NONE;
    private Totals totals = Totals.WINDOW;
    private OnEncoderFailure onEncoderFailure = OnEncoderFailure.FAIL;
    private boolean evidence = true;
    private float boost = AbstractQueryBuilder.DEFAULT_BOOST;
    private String queryName;

    private HybridParser(HybridClause clause, XContentParser parser) {
        this.clause = clause;
        this.parser = parser;
    }

    static HybridQueryBuilder parse(XContentParser parser, HybridClause clause) throws IOException {
        return new HybridParser(clause, parser).parse();
    }

    private HybridQueryBuilder parse() throws IOException {
        String key = null;
        XContentParser.Token token;
        while ((token = parser.nextToken()) != XContentParser.Token.END_OBJECT) {
            switch (token) {
                case FIELD_NAME -> key = parser.currentName();
                case START_ARRAY -> array(key);
                case START_OBJECT -> object(key);
                default -> value(key);
            }
        }
        if (queries.isEmpty()) {
            throw error("requires [queries] with at least one query", null);
        }
        HybridOptions options = new HybridOptions(fusion, paginationDepth, cutoff, totals, onEncoderFailure, evidence);
        if (totals == Totals.ALL && cutoff.isNone() == false) {
            throw error("does not combine [totals: all] with [cutoff]: leave one out", null);
        }
        try {
            if (fusion != null) {
                fusion.validate(queries.size());
            }
        } catch (IllegalArgumentException e) {
            throw error(e.getMessage(), e);
        }
        return new HybridQueryBuilder(clause, queries, filter, options).boost(boost).queryName(queryName);
    }

    private void array(String key) throws IOException {
        if (QUERIES.match(key, parser.getDeprecationHandler()) == false) {
            throw unknown(key);
        }
        while (parser.nextToken() != XContentParser.Token.END_ARRAY) {
            if (queries.size() == HybridQueryBuilder.MAX_QUERIES) {
                throw error("takes at most " + HybridQueryBuilder.MAX_QUERIES + " queries", null);
            }
            queries.add(AbstractQueryBuilder.parseInnerQueryBuilder(parser));
        }
    }

    private void object(String key) throws IOException {
        try {
            switch (key) {
                case "queries" -> queries.add(AbstractQueryBuilder.parseInnerQueryBuilder(parser));
                case "filter" -> filter = AbstractQueryBuilder.parseInnerQueryBuilder(parser);
                case "fusion" -> fusion = FusionParser.parse(parser.map());
                case "cutoff" -> cutoff = Cutoff.parse(parser.map());
                default -> throw unknown(key);
            }
        } catch (IllegalArgumentException e) {
            throw error(e.getMessage(), e);
        }
    }

    private void value(String key) throws IOException {
        try {
            switch (key) {
                case "filter" -> noFilter();
                case "pagination_depth" -> paginationDepth = window(parser.intValue());
                case "totals" -> totals = Totals.of(text(key));
                case "on_encoder_failure" -> onEncoderFailure = OnEncoderFailure.of(text(key));
                case "evidence" -> evidence = parser.booleanValue();
                case "boost" -> boost = parser.floatValue();
                case "_name" -> queryName = text(key);
                default -> throw unknown(key);
            }
        } catch (IllegalArgumentException e) {
            throw error(e.getMessage(), e);
        }
    }

    /** Accepts null as no filter, as {@code bool} does: client templates send null for an unused filter. */
    private void noFilter() throws IOException {
        if (parser.currentToken() != XContentParser.Token.VALUE_NULL) {
            throw new IllegalArgumentException("expected [filter] to be a query, got [" + parser.text() + "]");
        }
    }

    private String text(String key) throws IOException {
        if (parser.currentToken() == XContentParser.Token.VALUE_NULL) {
            throw new IllegalArgumentException("expected [" + key + "] to be text, got null; leave it out");
        }
        return parser.text();
    }

    private static int window(int depth) {
        if (depth < 1 || depth > HybridQueryBuilder.MAX_WINDOW) {
            throw new IllegalArgumentException(
                "expected [pagination_depth] from 1 to " + HybridQueryBuilder.MAX_WINDOW + ", got [" + depth + "]"
            );
        }
        return depth;
    }

    private ParsingException unknown(String key) {
        return error("query does not support [" + key + "]", null);
    }

    private ParsingException error(String message, Exception cause) {
        return new ParsingException(parser.getTokenLocation(), "[" + clause.name() + "] " + message, cause);
    }
}
