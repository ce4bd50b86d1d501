#include "images/layout/settings.h"

#include <gtest/gtest.h>

#include "images/layout/documents.h"

namespace cove {
namespace {

using Words = std::vector<std::string>;

TEST(CommandWords, AreAListOrOneProgram) {
  EXPECT_EQ(command_from(R"(["a", "b c", ""])").value(), (Words{"a", "b c", ""}));
  EXPECT_EQ(command_from(" /bin/sh ").value(), Words{"/bin/sh"});
  for (const char* wrong : {"", "  ", "a b", "[]", "[1]", "[\"a\"", "[a]", "['a']"})
    EXPECT_FALSE(command_from(wrong)) << wrong;
}

TEST(Instructions, ReadQuotesAndBackslashes) {
  ImageSettings settings;
  ASSERT_TRUE(apply_instruction(settings, R"(ENV A="b c" D='$e' F=\$g H=i\ j K=)"));
  EXPECT_EQ(settings.config.env, (Words{"A=b c", "D=$e", "F=$g", "H=i j", "K="}));
  ASSERT_TRUE(apply_instruction(settings, "\tenv  A  new value "));
  EXPECT_EQ(settings.config.env.front(), "A=new value");
  ASSERT_TRUE(apply_instruction(settings, R"(VOLUME ["/a b", "/c"])"));
  EXPECT_EQ(settings.volumes, (std::set<std::string>{"/a b", "/c"}));
}

TEST(Instructions, RefuseWhatTheyDoNotMean) {
  for (const char* wrong :
       {"", "RUN x", "FROM x", "CMDx", "CMD", "ENV A", "ENV =b", "ENV A=$B", "ENV A=\"$B\"",
        "ENV A='b", "EXPOSE 80/sctp", "EXPOSE -1", "EXPOSE 123456", "VOLUME rel", "USER a b",
        "WORKDIR rel", "WORKDIR /a /b", "STOPSIGNAL", "LABEL =x"}) {
    ImageSettings settings;
    const Result<void> applied = apply_instruction(settings, wrong);
    ASSERT_FALSE(applied) << wrong;
    EXPECT_EQ(applied.error().code, ErrorCode::invalid_argument) << wrong;
  }
}

TEST(ConfigurationText, IsReadAgainAsItWasMeant) {
  ImageSettings settings;
  settings.config = {{"/e"}, {"c"}, {"A=b"}, "/w", "u"};
  const std::string diff_id = "sha256:" + std::string(64, 'a');
  const std::string text = configuration_text(settings, {diff_id}, "test");
  EXPECT_EQ(text, configuration_text(settings, {diff_id}, "test"));
  const Result<Configuration> read = parse_configuration(text, "text");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->diff_ids, Words{diff_id});
  EXPECT_EQ(read->config.entrypoint, settings.config.entrypoint);
  EXPECT_EQ(read->config.command, settings.config.command);
  EXPECT_EQ(read->config.env, settings.config.env);
  EXPECT_EQ(read->config.workdir, "/w");
  EXPECT_EQ(read->config.user, "u");
  EXPECT_EQ(read->platform.architecture, host_platform().architecture);
}

}  // namespace
}  // namespace cove
