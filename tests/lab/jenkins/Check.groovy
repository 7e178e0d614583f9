// What a declarative Jenkinsfile says, read by Groovy's own parser and held against a closed list of words: what is not on
// it is wrong here, though a Jenkins with more plugins may know it. Nothing of the file is run but what is in `expression`.
//   Check.groovy JOB,JOB… FILE…    for each file a line of JSON:
//   {"wrong": ["line 3: …"], "words": {"options": ["timeout"], …}, "jobs": {JOB: [{"stage": …, "sh": […], "after": […]}]}}
import groovy.json.JsonOutput
import org.codehaus.groovy.ast.ASTNode
import org.codehaus.groovy.ast.expr.*
import org.codehaus.groovy.ast.stmt.*
import org.codehaus.groovy.control.CompilationUnit
import org.codehaus.groovy.control.MultipleCompilationErrorsException
import org.codehaus.groovy.control.Phases

class Words {
    // a word: `one` is what it is given alone (and its name, where it is given by name), `may` and `must` other names, `block`
    // what stands in its braces
    static final STEPS = [
        sh             : [one: 'script', may: ['label', 'encoding', 'returnStatus', 'returnStdout']],
        echo           : [one: 'message'],
        error          : [one: 'message'],
        sleep          : [one: 'time', may: ['unit']],
        retry          : [one: 'count', block: 'steps'],
        timeout        : [one: 'time', may: ['unit'], block: 'steps'],
        dir            : [one: 'path', block: 'steps'],
        catchError     : [may: ['buildResult', 'stageResult', 'message'], block: 'steps'],
        withCredentials: [one: 'bindings', block: 'steps'],
        archiveArtifacts: [one: 'artifacts', may: ['allowEmptyArchive', 'fingerprint']],
        junit          : [one: 'testResults', may: ['allowEmptyResults']],
        deleteDir      : [:],
    ]
    static final BINDINGS = [
        string          : [must: ['credentialsId', 'variable']],
        file            : [must: ['credentialsId', 'variable']],
        usernamePassword: [must: ['credentialsId', 'usernameVariable', 'passwordVariable']],
    ]
    static final OPTIONS = [
        disableConcurrentBuilds: [may: ['abortPrevious']],
        timeout                : [one: 'time', may: ['unit']],
        retry                  : [one: 'count'],
    ]
    static final WHEN = [
        expression : [block: 'code'],
        environment: [must: ['name', 'value']],
        not        : [block: 'when'],
        allOf      : [block: 'when'],
        anyOf      : [block: 'when'],
    ]
    static final POST = ['always', 'success', 'failure', 'unstable', 'aborted', 'fixed', 'regression', 'cleanup']
    static final PIPELINE = [must: ['agent', 'stages'], may: ['options', 'environment', 'post']]
    static final STAGE = [must: ['steps'], may: ['agent', 'options', 'environment', 'when', 'post']]
    static final UNITS = ['SECONDS', 'MINUTES', 'HOURS', 'DAYS']
    static final SECRETS = [
        /-----BEGIN [A-Z ]*PRIVATE KEY/, /\b(AKIA|ASIA)[0-9A-Z]{16}\b/, /:\/\/[^\s\/:@'"]+:[^\s\/@$'"]+@/,
        /(?i)(password|passwd|secret|token|api_?key|access_?key)\w*\s*[=:]\s*['"]?[^\s'"$,)]{6,}/,
        /(?i)\b(bearer|basic)\s+[\w.~+\/-]{12,}/,
    ]
    static final SECRET_NAMES = /PASSWORD|SECRET|TOKEN|KEY|_URLS|_DSN|DATABASE_URL/
}

class Block { ASTNode at; String name; List given; Map named; ClosureExpression block }

class Reader {
    String text; List wrong = []; Map words = [:].withDefault { [] }; List stages = []

    void wrong(ASTNode at, String what) { wrong << "line ${at?.lineNumber}: $what".toString() }

    // `name …`, `name(…)`, `name { … }` are all that a declarative pipeline is made of
    Block word(Statement statement) {
        def call = statement instanceof ExpressionStatement ? statement.expression : null
        if (!(call instanceof MethodCallExpression) || !call.implicitThis || !(call.method instanceof ConstantExpression)) {
            wrong(statement, 'this is Groovy, and no word of a declarative pipeline'); return null
        }
        wordOf(call)
    }

    Block wordOf(MethodCallExpression call) {
        def found = new Block(at: call, name: call.methodAsString, given: [], named: [:])
        call.arguments.expressions.each { each ->
            if (each instanceof ClosureExpression && !found.block) found.block = each
            else if (each instanceof MapExpression) each.mapEntryExpressions.each { found.named[it.keyExpression.text] = it.valueExpression }
            else found.given << each
        }
        found
    }

    List<Block> within(ClosureExpression braces) { braces.code.statements.collect { word(it) }.findAll() }

    String plain(Expression value, String what) {
        if (value instanceof ConstantExpression && value.value instanceof String) return value.value
        wrong(value, "$what has to be a plain text in single quotes")
        ''
    }

    // Whether a word of a list is used as it may be
    boolean fits(Block word, Map list, String where) {
        def may = list[word.name]
        if (may == null) { wrong(word.at, "$where knows no $word.name${near(word.name, list.keySet())}"); return false }
        def names = (may.may ?: []) + (may.must ?: []) + (may.one ? [may.one] : [])
        (word.named.keySet() - names).each { wrong(word.at, "$word.name knows no $it${near(it, names)}") }
        (may.must ?: []).findAll { !(it in word.named) }.each { wrong(word.at, "$word.name lacks $it") }
        if (word.given.size() > (may.one ? 1 : 0)) wrong(word.at, "$word.name is given too much")
        if (may.one && !word.given && !(may.one in word.named)) wrong(word.at, "$word.name lacks $may.one")
        if (word.block && !may.block) wrong(word.at, "$word.name has no braces")
        if (may.block && !word.block) wrong(word.at, "$word.name lacks its braces")
        def unit = word.named.unit
        if (unit && !(plain(unit, 'unit') in Words.UNITS)) wrong(word.at, "$unit.text is no unit: ${Words.UNITS.join(', ')}")
        true
    }

    String near(String word, Collection known) {
        def close = known.min { apart(word.toLowerCase(), it.toLowerCase()) }
        close && apart(word.toLowerCase(), close.toLowerCase()) <= 2 ? ": $close?" : ''
    }

    static int apart(String a, String b) {
        def row = (0..b.size()).toList()
        a.eachWithIndex { x, i ->
            def next = [i + 1]
            b.eachWithIndex { y, j -> next << [next[j] + 1, row[j + 1] + 1, row[j] + (x == y ? 0 : 1)].min() }
            row = next
        }
        row.last()
    }

    Map sections(Block of, Map list) {
        def found = [:], known = list.must + list.may
        within(of.block).each { section ->
            if (!(section.name in known)) wrong(section.at, "$of.name knows no $section.name${near(section.name, known)}")
            else if (section.name in found) wrong(section.at, "$of.name has two $section.name")
            else found[section.name] = section
            if (section.name in known && section.name != 'agent' && !(section.block && !section.given && !section.named))
                wrong(section.at, "$section.name is braces, and nothing before them")
        }
        list.must.findAll { !(it in found) }.each { wrong(of.at, "$of.name has no $it") }
        found.findAll { name, section -> name == 'agent' || section.block }
    }

    void pipeline(List<Statement> statements) {
        if (statements.size() != 1) { wrong(statements ? statements[1] : null, 'there has to be one pipeline, and nothing beside it'); return }
        def word = word(statements[0])
        if (!word) return
        if (word.name != 'pipeline' || !word.block || word.given) { wrong(word.at, "a file begins with pipeline { }, not with $word.name"); return }
        def found = sections(word, Words.PIPELINE)
        common(found)
        if (!found.stages) return
        def each = within(found.stages.block)
        if (!each) wrong(found.stages.at, 'stages is empty')
        each.each { stage(it) }
        stages.groupBy { it.stage }.findAll { it.value.size() > 1 }.each { wrong(found.stages.at, "two stages are called $it.key") }
        if (found.post) stages << [stage: '', when: null, sh: [], after: post(found.post)]
    }

    void common(Map found) {
        if (found.agent) agent(found.agent)
        if (found.options) {
            within(found.options.block).each {
                if (fits(it, Words.OPTIONS, 'options')) words.options << it.name
            }
        }
        if (found.environment) environment(found.environment)
    }

    void stage(Block word) {
        if (word.name != 'stage' || !word.block || word.given.size() != 1) {
            wrong(word.at, word.name == 'stage' ? 'stage wants a name and braces' : "stages knows no $word.name${near(word.name, ['stage'])}")
            return
        }
        def found = sections(word, Words.STAGE)
        common(found)
        if (found.when) when(found.when)
        stages << [
            stage: plain(word.given[0], "a stage's name"), when: found.when?.block,
            sh: found.steps ? steps(found.steps) : [], after: found.post ? post(found.post) : [],
        ]
    }

    void agent(Block word) {
        if (!word.block) {
            def said = word.given.size() == 1 && word.given[0] instanceof VariableExpression ? word.given[0].name : ''
            if (!(said in ['any', 'none'])) wrong(word.at, 'agent is any, none, or { label … }')
            words.agent << said
            return
        }
        def inside = within(word.block)
        if (inside.size() != 1 || inside[0].name != 'label' || inside[0].given.size() != 1) wrong(word.at, 'agent { } has one word, label')
        else words.agent << source(inside[0].given[0])
    }

    void environment(Block word) {
        word.block.code.statements.each { each ->
            def set = each instanceof ExpressionStatement ? each.expression : null
            if (!(set instanceof BinaryExpression) || set.operation.text != '=' || !(set.leftExpression instanceof VariableExpression)) {
                wrong(each, "environment has NAME = 'text' or NAME = credentials('id')"); return
            }
            def name = set.leftExpression.name, value = set.rightExpression
            if (value instanceof MethodCallExpression && value.methodAsString == 'credentials') {
                value.arguments.expressions.each { plain(it, "credentials'") }
                words.credentials << name
            } else {
                words.environment << [name, plain(value, name)]
                if (name =~ Words.SECRET_NAMES) wrong(each, "$name may be secret: it comes by credentials('id')")
            }
        }
    }

    void when(Block word) {
        def each = within(word.block)
        if (!each) wrong(word.at, "$word.name is empty")
        each.each {
            if (it.name in ['branch', 'tag', 'changeRequest']) wrong(it.at, "$it.name is always false but in a multibranch job")
            else if (fits(it, Words.WHEN, 'when') && it.block) {
                if (it.name == 'expression') expression(it) else when(it)
            }
        }
    }

    void expression(Block word) {
        if (word.block.code.statements.size() != 1) wrong(word.at, 'expression is one condition')
    }

    List<String> steps(Block word) {
        def each = within(word.block)
        if (!each) wrong(word.at, "$word.name is empty")
        each.collectMany { step ->
            if (!fits(step, Words.STEPS, word.name)) return []
            words.steps << step.name
            if (step.name == 'withCredentials') bindings(step)
            if (step.block) return steps(step)
            def script = step.given ? step.given[0] : step.named.script
            step.name == 'sh' && script ? [plain(script, 'sh')] : []
        }
    }

    void bindings(Block word) {
        def list = word.given ? word.given[0] : word.named.bindings
        if (!(list instanceof ListExpression)) { wrong(word.at, 'withCredentials wants a list in [ ]'); return }
        list.expressions.each {
            if (it instanceof MethodCallExpression) fits(wordOf(it), Words.BINDINGS, 'withCredentials')
            else wrong(it, 'this is no binding')
        }
    }

    List<String> post(Block word) {
        def each = within(word.block)
        if (!each) wrong(word.at, 'post is empty')
        each.collectMany { condition ->
            if (!(condition.name in Words.POST)) { wrong(condition.at, "post knows no $condition.name${near(condition.name, Words.POST)}"); return [] }
            if (!condition.block || condition.given) { wrong(condition.at, "$condition.name is braces"); return [] }
            steps(condition)
        }
    }

    void secrets() {
        text.readLines().eachWithIndex { line, number ->
            if (Words.SECRETS.any { line =~ it }) wrong << "line ${number + 1}: this looks like a secret".toString()
        }
    }

    String source(ASTNode at) {
        def lines = text.split('\n', -1)[(at.lineNumber - 1)..(at.lastLineNumber - 1)].toList()
        lines[-1] = lines[-1].substring(0, at.lastColumnNumber - 1)
        lines[0] = lines[0].substring(at.columnNumber - 1)
        lines.join('\n').trim()
    }

    // The conditions for a job, as Jenkins would ask them
    boolean runs(ClosureExpression when, String job) { when == null || within(when).every { holds(it, job) } }

    boolean holds(Block word, String job) {
        switch (word.name) {
            case 'not': return !runs(word.block, job)
            case 'allOf': return runs(word.block, job)
            case 'anyOf': return within(word.block).any { holds(it, job) }
            case 'environment': return plain(word.named.name, 'name') == 'JOB_BASE_NAME' && plain(word.named.value, 'value') == job
        }
        def env = [JOB_BASE_NAME: job, JOB_NAME: job].withDefault { throw new IllegalArgumentException("env has no $it") }
        new GroovyShell(new Binding(env: env)).evaluate("(${source(word.block)}).call()") as boolean
    }
}

def jobs = args[0].split(',')
args.drop(1).each { name ->
    def reader = new Reader(text: new File(name).text), unit = new CompilationUnit()
    def told = [wrong: reader.wrong, words: reader.words, jobs: [:]]
    try {
        unit.addSource(new File(name))
        unit.compile(Phases.CONVERSION)
        reader.pipeline(unit.AST.modules[0].statementBlock.statements)
        if (unit.AST.modules[0].methods || unit.AST.modules[0].imports) reader.wrong << 'it has Groovy of its own'
        reader.secrets()
        if (!reader.wrong) jobs.each { job ->
            told.jobs[job] = reader.stages.findAll { reader.runs(it.when, job) }.collect { it.subMap(['stage', 'sh', 'after']) }
        }
    } catch (MultipleCompilationErrorsException error) {
        reader.wrong << error.message.readLines()[1..-1].findAll()[0].replaceFirst(/^.*?: (\d+): /, 'line $1: ')
    } catch (Exception error) {
        reader.wrong << "${error.class.simpleName}: $error.message".toString()
    }
    println JsonOutput.toJson(told)
}
