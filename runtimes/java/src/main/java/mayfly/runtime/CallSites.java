package mayfly.runtime;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Handle;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.Type;

/**
 * Spares copies the making of call sites.
 *
 * <p>Compilers write an {@code invokedynamic} where strings are put together and where a lambda is made. The JVM makes the
 * code for such a place when it first comes there: one to five milliseconds, again in each process that was copied
 * before. So classes are rewritten when they are loaded. Where strings are put together, a static method of the same class
 * does it by a {@link StringBuilder}. Where a lambda is made, the instruction moves into a static method of the same class;
 * another one comes to all of these, and has the JVM make their code before the process is copied ({@link #link}). That
 * makes lambdas, with nulls for what they capture, and runs none.
 *
 * <p>None of these methods has branches, so no stack maps are touched.
 */
final class CallSites {
    private static final String STRINGS = "java/lang/invoke/StringConcatFactory";
    private static final String LAMBDAS = "java/lang/invoke/LambdaMetafactory";
    private static final String BUILDER = "java/lang/StringBuilder";
    /** The names of the methods: such as no function has, for two of one name would keep its class from being loaded. */
    private static final String CONCAT = "mayfly$concat$";
    private static final String LAMBDA = "mayfly$site$";
    private static final String ALL_LAMBDAS = "mayfly$sites$";

    private CallSites() {}

    /** The class file, or one of a class that does the same; it is left as it is if it is of a kind not known. */
    static byte[] rewrite(byte[] file) {
        String text = new String(file, StandardCharsets.ISO_8859_1);
        if (!text.contains(STRINGS) && !text.contains(LAMBDAS)) {
            return file;
        }
        try {
            ClassReader reader = new ClassReader(file);
            ClassWriter writer = new ClassWriter(reader, 0);
            Rewriter rewriter = new Rewriter(writer);
            reader.accept(rewriter, 0);
            return rewriter.isNeeded() ? writer.toByteArray() : file;
        } catch (RuntimeException unreadable) {
            // A version from the future, a class at its limits, or no class at all, of which the JVM itself will tell.
            return file;
        }
    }

    /** Has the JVM make the code of the lambdas of a class, if it is initialised and has such. */
    static void link(Class<?> type) {
        try {
            if (Fields.isInitialised(type, false)) {
                MethodHandles.privateLookupIn(type, MethodHandles.lookup())
                        .findStatic(type, ALL_LAMBDAS, MethodType.methodType(void.class)).invokeExact();
            }
        } catch (Throwable error) {
            // It has none, or lacks a class that they need, of which the function will hear when it comes there.
        }
    }

    /** A place where a lambda is made. */
    private static final class Site {
        final String method;
        final String name;
        final String type;
        final Handle bootstrap;
        final Object[] constants;

        Site(String method, String name, String type, Handle bootstrap, Object[] constants) {
            this.method = method;
            this.name = name;
            this.type = type;
            this.bootstrap = bootstrap;
            this.constants = constants;
        }
    }

    private static final class Rewriter extends ClassVisitor {
        private static final int FLAGS = Opcodes.ACC_PRIVATE | Opcodes.ACC_STATIC | Opcodes.ACC_SYNTHETIC;

        /** What is put together (types, then the recipe), and the method that does it. */
        private final Map<String, String> concats = new LinkedHashMap<>();
        private final List<Site> sites = new ArrayList<>();
        private String owner;
        private boolean isInterface;

        Rewriter(ClassWriter writer) {
            super(Opcodes.ASM9, writer);
        }

        boolean isNeeded() {
            return !concats.isEmpty() || !sites.isEmpty();
        }

        @Override
        public void visit(int version, int access, String name, String signature, String parent, String[] interfaces) {
            owner = name;
            isInterface = (access & Opcodes.ACC_INTERFACE) != 0;
            super.visit(version, access, name, signature, parent, interfaces);
        }

        @Override
        public MethodVisitor visitMethod(int access, String name, String type, String signature, String[] exceptions) {
            return new MethodVisitor(Opcodes.ASM9, super.visitMethod(access, name, type, signature, exceptions)) {
                @Override
                public void visitInvokeDynamicInsn(String name, String type, Handle bootstrap, Object... constants) {
                    String method = method(name, type, bootstrap, constants);
                    if (method != null) {
                        super.visitMethodInsn(Opcodes.INVOKESTATIC, owner, method, type, isInterface);
                    } else {
                        super.visitInvokeDynamicInsn(name, type, bootstrap, constants);
                    }
                }
            };
        }

        /** The method that does what an instruction does; null if there is none. */
        private String method(String name, String type, Handle bootstrap, Object[] constants) {
            if (bootstrap.getOwner().equals(STRINGS) && bootstrap.getName().equals("makeConcatWithConstants")) {
                // Constants that do not fit into the recipe may be any that a class file can have: rare, and left alone.
                boolean simple = constants.length == 1 && constants[0] instanceof String;
                return simple ? concats.computeIfAbsent(type + constants[0], unknown -> CONCAT + concats.size()) : null;
            }
            // To make one of an interface of the function's own may have that initialised: nothing of it is to run.
            if (bootstrap.getOwner().equals(LAMBDAS) && bootstrap.getName().equals("metafactory")
                    && Type.getReturnType(type).getInternalName().startsWith("java/")) {
                sites.add(new Site(LAMBDA + sites.size(), name, type, bootstrap, constants));
                return sites.get(sites.size() - 1).method;
            }
            return null;
        }

        @Override
        public void visitEnd() {
            for (Map.Entry<String, String> concat : concats.entrySet()) {
                int end = concat.getKey().indexOf(')') + 1 + Type.getDescriptor(String.class).length();
                define(concat.getValue(), concat.getKey().substring(0, end), concat.getKey().substring(end));
            }
            if (!sites.isEmpty()) {
                MethodVisitor all = super.visitMethod(FLAGS, ALL_LAMBDAS, "()V", null, null);
                all.visitCode();
                int most = 1;
                for (Site site : sites) {
                    most = Math.max(most, Type.getArgumentsAndReturnSizes(site.type) >> 2);
                    define(site);
                    visit(site, all);
                }
                all.visitInsn(Opcodes.RETURN);
                all.visitMaxs(most, 0);
                all.visitEnd();
            }
            super.visitEnd();
        }

        /** Adds the method that makes a lambda of what it captures. */
        private void define(Site site) {
            MethodVisitor code = super.visitMethod(FLAGS, site.method, site.type, null, null);
            code.visitCode();
            int slot = 0;
            for (Type of : Type.getArgumentTypes(site.type)) {
                code.visitVarInsn(of.getOpcode(Opcodes.ILOAD), slot);
                slot += of.getSize();
            }
            code.visitInvokeDynamicInsn(site.name, site.type, site.bootstrap, site.constants);
            code.visitInsn(Opcodes.ARETURN);
            code.visitMaxs(Math.max(slot, 1), slot);
            code.visitEnd();
        }

        /** Goes to such a method, with nothing to capture. */
        private void visit(Site site, MethodVisitor code) {
            for (Type of : Type.getArgumentTypes(site.type)) {
                switch (of.getSort()) {
                    case Type.LONG:
                        code.visitInsn(Opcodes.LCONST_0);
                        break;
                    case Type.FLOAT:
                        code.visitInsn(Opcodes.FCONST_0);
                        break;
                    case Type.DOUBLE:
                        code.visitInsn(Opcodes.DCONST_0);
                        break;
                    case Type.OBJECT:
                    case Type.ARRAY:
                        code.visitInsn(Opcodes.ACONST_NULL);
                        break;
                    default:
                        code.visitInsn(Opcodes.ICONST_0);
                }
            }
            code.visitMethodInsn(Opcodes.INVOKESTATIC, owner, site.method, site.type, isInterface);
            code.visitInsn(Opcodes.POP);
        }

        /** Adds the method that puts together what a recipe says: its text as it is, and an argument for each \1. */
        private void define(String name, String type, String recipe) {
            MethodVisitor code = super.visitMethod(FLAGS, name, type, null, null);
            code.visitCode();
            code.visitTypeInsn(Opcodes.NEW, BUILDER);
            code.visitInsn(Opcodes.DUP);
            code.visitMethodInsn(Opcodes.INVOKESPECIAL, BUILDER, "<init>", "()V", false);
            Type[] arguments = Type.getArgumentTypes(type);
            int argument = 0;
            int slot = 0;
            int text = 0;
            for (int i = 0; i < recipe.length(); i++) {
                if (recipe.charAt(i) != '\1') {
                    continue;
                }
                append(code, recipe.substring(text, i));
                text = i + 1;
                Type of = arguments[argument++];
                code.visitVarInsn(of.getOpcode(Opcodes.ILOAD), slot);
                slot += of.getSize();
                append(code, of);
            }
            append(code, recipe.substring(text));
            code.visitMethodInsn(Opcodes.INVOKEVIRTUAL, BUILDER, "toString", "()Ljava/lang/String;", false);
            code.visitInsn(Opcodes.ARETURN);
            code.visitMaxs(3, slot);
            code.visitEnd();
        }

        private static void append(MethodVisitor code, String text) {
            if (!text.isEmpty()) {
                code.visitLdcInsn(text);
                append(code, Type.getType(String.class));
            }
        }

        /** By the method that a compiler takes for this type; {@code char[]} is an object among others here. */
        private static void append(MethodVisitor code, Type of) {
            String parameter;
            switch (of.getSort()) {
                case Type.BYTE:
                case Type.SHORT:
                    parameter = "I";
                    break;
                case Type.OBJECT:
                case Type.ARRAY:
                    parameter = of.getClassName().equals("java.lang.String") ? "Ljava/lang/String;" : "Ljava/lang/Object;";
                    break;
                default:
                    parameter = of.getDescriptor();
            }
            code.visitMethodInsn(
                    Opcodes.INVOKEVIRTUAL, BUILDER, "append", "(" + parameter + ")Ljava/lang/StringBuilder;", false);
        }
    }
}
