package org.mmsearch.visibility;

import java.util.Collections;

import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.ConstantScoreQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.join.ToChildBlockJoinQuery;
import org.opensearch.index.query.BoolQueryBuilder;
import org.opensearch.index.query.ParsedQuery;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.search.internal.ReaderContext;
import org.opensearch.search.internal.SearchContext;
import org.opensearch.search.internal.ShardSearchRequest;

/**
 * The rules of document-level security, read back from where the security plugin puts them when the query phase begins: it
 * replaces the parsed query by a bool of which one rule must match, each a constant score, beside the query that was parsed.
 */
final class SecurityRules {

    /** Under which a search of several phases keeps the rules, which security adds in the first one only. */
    private static final String KEPT = "mmsearch.security_rules";

    private SecurityRules() {}

    /** @return a filter, or null where there are no rules */
    static Query of(SearchContext search) {
        Query rules = rules(search);
        ReaderContext reader = search.readerContext();
        if (reader == null) {
            return rules;
        }
        // A reader that serves one search serves one user; a point in time may serve several.
        String of = reader.singleSession() || search.getTask() == null ? "" : search.getTask().getParentTaskId().toString();
        return kept(reader).keep(of, rules);
    }

    private static KeptRules kept(ReaderContext reader) {
        synchronized (reader) {
            KeptRules kept = reader.getFromContext(KEPT);
            if (kept == null) {
                kept = new KeptRules();
                reader.putInContext(KEPT, kept);
            }
            return kept;
        }
    }

    private static Query rules(SearchContext search) {
        ParsedQuery parsed = search.parsedQuery();
        if (parsed == null) {
            return null;
        }
        Query top = parsed.query();
        while (top instanceof BoostQuery boosted) {
            // An index's boost goes round everything.
            top = boosted.getQuery();
        }
        if (!(top instanceof BooleanQuery bool) || bool.getMinimumNumberShouldMatch() != 1) {
            return null;
        }
        BooleanQuery.Builder any = new BooleanQuery.Builder().setMinimumNumberShouldMatch(1);
        int rules = 0;
        int queries = 0;
        for (BooleanClause clause : bool.clauses()) {
            if (clause.occur() == Occur.MUST) {
                queries++;
            } else if (clause.occur() == Occur.SHOULD && clause.query() instanceof ConstantScoreQuery) {
                any.add(clause.query(), Occur.SHOULD);
                rules++;
            } else if (clause.occur() != Occur.SHOULD || clause.query() instanceof ToChildBlockJoinQuery == false) {
                // Where there are nested documents each rule stands there once more for them; the roots are what is filtered.
                return null;
            }
        }
        return queries == 1 && rules > 0 && callers(search, parsed, rules) == false ? any.build() : null;
    }

    /**
     * Whether the bool is the caller's own, who may write one of the same shape. In doubt it is security's: a filter too many
     * finds other neighbours, one too few shows what is hidden.
     */
    private static boolean callers(SearchContext search, ParsedQuery parsed, int rules) {
        // The engine's own parsing keeps a map of the named queries, however empty; security's new query has none.
        return parsed.namedFilters() != Collections.<String, Query>emptyMap() && wroteIt(search.request(), rules);
    }

    private static boolean wroteIt(ShardSearchRequest request, int rules) {
        QueryBuilder query = request == null || request.source() == null ? null : request.source().query();
        return query instanceof BoolQueryBuilder bool
            && bool.minimumShouldMatch() != null
            && bool.must().size() == 1
            && bool.should().size() == rules;
    }
}
