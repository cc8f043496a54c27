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
 * Extracts the rules of document-level security from the parsed query. When the query phase starts, the security plugin replaces the
 * parsed query by a {@code bool} query with that query in {@code must} and the rules in {@code should}, each as a constant score; at
 * least one rule must match.
 */
final class SecurityRules {

    /** Key of the rules in the reader context. The security plugin adds the rules only in the first phase of a search. */
    private static final String KEPT = "mmsearch.security_rules";

    private SecurityRules() {}

    /** Returns the rules as a filter, or null if there are none. */
    static Query of(SearchContext search) {
        Query rules = rules(search);
        ReaderContext reader = search.readerContext();
        if (reader == null) {
            return rules;
        }
        // The reader context of a single search belongs to one user; a point in time may be shared by several users.
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
            // OpenSearch wraps the whole query for an index boost.
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
                // Not the security plugin's query. With nested fields, it repeats each rule in a ToChildBlockJoinQuery, which is skipped.
                return null;
            }
        }
        return queries == 1 && rules > 0 && callers(search, parsed, rules) == false ? any.build() : null;
    }

    /**
     * Returns whether the {@code bool} query comes from the request, which may contain one of the same form. If unsure, assumes that it
     * comes from the security plugin: a superfluous filter only changes the neighbors, but a missing one reveals hidden documents.
     */
    private static boolean callers(SearchContext search, ParsedQuery parsed, int rules) {
        // OpenSearch's parser always creates a new map of named queries. The security plugin uses the constant empty map.
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
