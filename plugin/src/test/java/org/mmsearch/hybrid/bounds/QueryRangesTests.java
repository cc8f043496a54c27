package org.mmsearch.hybrid.bounds;

import java.io.IOException;
import java.util.List;

import org.apache.lucene.analysis.core.WhitespaceAnalyzer;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.ConstantScoreQuery;
import org.apache.lucene.search.DisjunctionMaxQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.PhraseQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.SynonymQuery;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.join.QueryBitSetProducer;
import org.apache.lucene.search.join.ScoreMode;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.search.similarities.LMDirichletSimilarity;
import org.apache.lucene.store.Directory;
import org.junit.After;
import org.junit.Before;
import org.mmsearch.fusion.ScoreRange;
import org.opensearch.common.lucene.search.Queries;
import org.opensearch.common.lucene.search.function.FunctionScoreQuery;
import org.opensearch.common.lucene.search.function.WeightFactorFunction;
import org.opensearch.index.search.OpenSearchToParentBlockJoinQuery;
import org.opensearch.lucene.queries.BlendedTermQuery;
import org.opensearch.test.OpenSearchTestCase;

/** Ranges of queries against idf = ln(1 + (N − n + 0.5) / (n + 0.5)), computed by hand for an index of 8 documents. */
public class QueryRangesTests extends OpenSearchTestCase {

    /** ln(1 + 6.5 / 2.5), of a term in 2 of 8 documents. */
    private static final double RED = Math.log(3.6);
    /** ln(1 + 7.5 / 1.5), of a term in 1 of 8 documents. */
    private static final double KETTLE = Math.log(6);
    /** ln(1 + 0.5 / 8.5), of a term in all. */
    private static final double A = Math.log(9 / 8.5);

    private Directory directory;
    private DirectoryReader reader;
    private IndexSearcher searcher;

    @Before
    public void index() throws IOException {
        directory = newDirectory();
        try (IndexWriter writer = new IndexWriter(directory, new IndexWriterConfig(new WhitespaceAnalyzer()))) {
            List<String> titles = List.of("a red kettle", "a red", "a", "a a a a", "a b c d e f", "a c", "a d", "a e e e");
            for (String title : titles) {
                Document document = new Document();
                document.add(new TextField("title", title, Field.Store.NO));
                document.add(new TextField("text", title + " red", Field.Store.NO));
                document.add(new StringField("brand", title.contains("red") ? "acme" : "other", Field.Store.NO));
                writer.addDocument(document);
                if (randomBoolean()) {
                    writer.flush();
                }
            }
        }
        reader = DirectoryReader.open(directory);
        searcher = new IndexSearcher(reader);
        searcher.setSimilarity(new BM25Similarity());
    }

    @After
    public void close() throws IOException {
        reader.close();
        directory.close();
    }

    private static Query title(String term) {
        return new TermQuery(new Term("title", term));
    }

    private static Query any(Query... clauses) {
        BooleanQuery.Builder bool = new BooleanQuery.Builder();
        for (Query each : clauses) {
            bool.add(each, Occur.SHOULD);
        }
        return bool.build();
    }

    private ScoreRange range(Query query) throws IOException {
        return QueryRanges.of(searcher, searcher.rewrite(query)).range();
    }

    private void assertBound(double expected, Query query) throws IOException {
        QueryRanges.Bounded bounded = QueryRanges.of(searcher, searcher.rewrite(query));
        ScoreRange range = bounded.range();
        assertEquals(query.toString(), expected, range.high(), 1e-5);
        assertEquals(query.toString(), 0, range.low(), 0);
        assertEquals(searcher.rewrite(query), bounded.query());
        ScoreDoc[] hits = searcher.search(query, 10).scoreDocs;
        ScoreDoc[] found = searcher.search(bounded.query(), 10).scoreDocs;
        assertEquals(query.toString(), hits.length, found.length);
        for (int at = 0; at < hits.length; at++) {
            assertTrue(query + " scored " + hits[at].score, hits[at].score <= range.high());
            assertEquals(query.toString(), hits[at].doc, found[at].doc);
            assertEquals(query.toString(), hits[at].score, found[at].score, 0);
        }
    }

    public void testTermsAndTheirSums() throws IOException {
        assertBound(RED, title("red"));
        assertBound(3 * RED, new BoostQuery(title("red"), 3));
        assertBound(RED + KETTLE, any(title("red"), title("kettle")));
        assertBound(2 * (RED + A), new BoostQuery(any(title("red"), title("a")), 2));
        // A term that no document has cannot add to a score.
        assertBound(RED, any(title("red"), title("teapot")));
        assertBound(0, title("teapot"));
        assertBound(0, new TermQuery(new Term("absent", "red")));
    }

    public void testOnlyScoringClausesCount() throws IOException {
        BooleanQuery filtered = new BooleanQuery.Builder().add(title("red"), Occur.MUST)
            .add(title("a"), Occur.FILTER)
            .add(title("kettle"), Occur.MUST_NOT)
            .build();
        assertBound(RED, filtered);
        assertBound(1, new ConstantScoreQuery(title("red")));
        assertBound(4, new BoostQuery(Queries.newMatchAllQuery(), 4));
        assertBound(0, new MatchNoDocsQuery("nothing"));
    }

    public void testDisMaxTakesTheGreatestAndAShareOfTheOthers() throws IOException {
        assertBound(KETTLE, new DisjunctionMaxQuery(List.of(title("red"), title("kettle")), 0));
        assertBound(KETTLE + 0.3 * (RED + A), new DisjunctionMaxQuery(List.of(title("red"), title("kettle"), title("a")), 0.3f));
    }

    /** As {@code cross_fields} asks: the most frequent field's frequency counts for all, here 8 of 8 documents. */
    public void testATermAcrossFields() throws IOException {
        Term[] terms = { new Term("title", "red"), new Term("text", "red") };
        Query blended = BlendedTermQuery.dismaxBlendedQuery(terms, new float[] { 2, 1 }, 0.3f);
        ScoreRange range = range(blended);
        assertEquals(2 * A + 0.3 * A, range.high(), 1e-5);
    }

    public void testPhrasesAndSynonyms() throws IOException {
        // The idf of a phrase is the sum of its terms'.
        assertBound(RED + KETTLE, new PhraseQuery("title", "red", "kettle"));
        assertBound(0, new PhraseQuery("title", "red", "teapot"));
        assertBound(RED, new SynonymQuery.Builder("title").addTerm(new Term("title", "red")).addTerm(new Term("title", "kettle")).build());
    }

    /** A field without frequencies and lengths: its bound is what every hit scores. */
    public void testKeywordsReachTheirBound() throws IOException {
        Query brand = new TermQuery(new Term("brand", "acme"));
        float score = searcher.search(brand, 1).scoreDocs[0].score;
        assertTrue(score < RED);
        assertBound(score, brand);
    }

    public void testNestedDocuments() throws IOException {
        QueryBitSetProducer parents = new QueryBitSetProducer(title("a"));
        for (ScoreMode mode : List.of(ScoreMode.Max, ScoreMode.Avg, ScoreMode.Min)) {
            assertEquals(RED, range(new OpenSearchToParentBlockJoinQuery(title("red"), parents, mode, "offers")).high(), 1e-5);
        }
        assertFalse(range(new OpenSearchToParentBlockJoinQuery(title("red"), parents, ScoreMode.Total, "offers")).known());
    }

    public void testWhatHasNoBound() throws IOException {
        Query function = new FunctionScoreQuery(title("red"), new WeightFactorFunction(2));
        assertFalse(range(function).known());
        assertFalse("in a sum", range(any(title("red"), function)).known());
        assertFalse("in a maximum", range(new DisjunctionMaxQuery(List.of(title("red"), function), 0)).known());
        assertFalse(range(new BoostQuery(function, 2)).known());
        assertBound(RED, new FunctionScoreQuery(title("red"), null, Float.MAX_VALUE));
        searcher.setSimilarity(new LMDirichletSimilarity());
        assertFalse("a similarity without a bound", range(title("red")).known());
    }
}
